#!/bin/sh
# Starts a guarded demo API: Envoy with envoy.yaml, and three curl lines to try it. Ctrl-C stops it.
set -eu
cd "$(dirname "$0")/.."
PORT=${PORT:-10000} ADMIN_PORT=${ADMIN_PORT:-9901} UPSTREAM_PORT=${UPSTREAM_PORT:-10001}

scripts/ports.sh
envoy=$(scripts/envoy.sh)
cargo build ${QUIET---quiet} --bin api-guard
command=${CARGO_TARGET_DIR:-target}/debug/api-guard
: "${API_GUARD_SECRET:=$("$command" keygen)}"
export API_GUARD_SECRET

config=$(mktemp "${TMPDIR:-/tmp}/api-guard.XXXXXX")
mv "$config" "$config.yaml"
config=$config.yaml
envoy_pid=
stop() {
    # A second signal must not interrupt the cleanup.
    trap - EXIT
    trap '' INT TERM
    [ -z "$envoy_pid" ] || { kill "$envoy_pid" 2>/dev/null || true; wait "$envoy_pid" 2>/dev/null || true; }
    rm -f "$config" "$config.native"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
source=envoy.yaml
if [ -n "${NATIVE:-}" ]; then
    source=$config.native
    "$command" emit envoy --config envoy.yaml --native >"$source"
fi
sed -e "s/port_value: 10000/port_value: $PORT/" -e "s/port_value: 9901/port_value: $ADMIN_PORT/" \
    -e "s/port_value: 10001/port_value: $UPSTREAM_PORT/" "$source" >"$config"

"$envoy" -c "$config" --use-dynamic-base-id --log-level warning --component-log-level wasm:info,dynamic_modules:info &
envoy_pid=$!
tries=0
until python3 -c "import urllib.request as r; r.urlopen('http://127.0.0.1:$ADMIN_PORT/ready', timeout=1)" 2>/dev/null; do
    kill -0 "$envoy_pid" 2>/dev/null || { echo "Envoy did not start: see above" >&2; exit 1; }
    tries=$((tries + 1))
    [ "$tries" -lt 300 ] || { echo "Envoy is not ready after a minute" >&2; exit 1; }
    sleep 0.2
done

reader=$("$command" mint --secret-env API_GUARD_SECRET --sub user-7 --permission orders:read --ttl 8h)
cat <<END

The API is guarded on http://localhost:$PORT (admin http://localhost:$ADMIN_PORT). Try it:

200, a good token:
  curl -i http://localhost:$PORT/orders/42 -H 'authorization: Bearer $reader'

401, no token:
  curl -i http://localhost:$PORT/orders/42

403, the token lacks orders:delete:
  curl -i -X DELETE http://localhost:$PORT/orders/42 -H 'authorization: Bearer $reader'

Ctrl-C stops it.
END
wait "$envoy_pid"
