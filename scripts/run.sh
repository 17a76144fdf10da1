#!/bin/sh
# Starts a guarded demo API: Envoy with envoy.yaml, and three curl lines to try it. Ctrl-C stops it. FLEET=3: three Envoys on ports that
# follow each other, and a redis-server that they share.
set -eu
cd "$(dirname "$0")/.."
PORT=${PORT:-10000} ADMIN_PORT=${ADMIN_PORT:-9901} UPSTREAM_PORT=${UPSTREAM_PORT:-10001}
FLEET=${FLEET:-1} REDIS_PORT=${REDIS_PORT:-16379}

scripts/ports.sh
# The usual one is the second Envoy's.
if [ "$FLEET" -gt 1 ] && [ "$UPSTREAM_PORT" = 10001 ]; then UPSTREAM_PORT=10020; fi
envoy=$(scripts/envoy.sh)
cargo build ${QUIET---quiet} --bin api-guard
command=${CARGO_TARGET_DIR:-target}/debug/api-guard
: "${API_GUARD_SECRET:=$("$command" keygen)}"
export API_GUARD_SECRET

config=$(mktemp "${TMPDIR:-/tmp}/api-guard.XXXXXX")
mv "$config" "$config.yaml"
config=$config.yaml
pids=
stop() {
    # A second signal must not interrupt the cleanup.
    trap - EXIT
    trap '' INT TERM
    for pid in $pids; do kill "$pid" 2>/dev/null || true; done
    for pid in $pids; do wait "$pid" 2>/dev/null || true; done
    rm -f "$config" "$config".*
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
# Waits until $2 answers at its port; $1 is its process.
ready() {
    tries=0
    until python3 -c "$3" 2>/dev/null; do
        kill -0 "$1" 2>/dev/null || { echo "$2 did not start: see above" >&2; exit 1; }
        tries=$((tries + 1))
        [ "$tries" -lt 300 ] || { echo "$2 is not ready after a minute" >&2; exit 1; }
        sleep 0.2
    done
}

if [ "$FLEET" -gt 1 ]; then
    : "${API_GUARD_FLEET_SECRET:=$("$command" keygen)}" "${API_GUARD_REDIS_PASSWORD:=$("$command" keygen)}"
    export API_GUARD_FLEET_SECRET API_GUARD_REDIS_PASSWORD
    store=$(command -v redis-server || command -v valkey-server)
    # By standard input, so that the password is no argument.
    printf '%s\n' "bind 127.0.0.1" "port $REDIS_PORT" 'save ""' "maxmemory-policy noeviction" "loglevel warning" \
        "requirepass \"$API_GUARD_REDIS_PASSWORD\"" >"$config.store"
    "$store" - <"$config.store" >/dev/null &
    pids=$!
    ready "$pids" redis-server "import socket as s; s.create_connection(('127.0.0.1', $REDIS_PORT), 1)"
fi

number=0
while [ "$number" -lt "$FLEET" ]; do
    port=$((PORT + number)) admin=$((ADMIN_PORT + number)) source=envoy.yaml
    if [ "$FLEET" -gt 1 ]; then
        source=$config.source
        # The first one has the demo API of all.
        upstream=
        [ "$number" -eq 0 ] || upstream="--upstream 127.0.0.1:$UPSTREAM_PORT"
        # shellcheck disable=SC2086
        "$command" emit envoy --config examples/compose/fleet.yaml --redis "127.0.0.1:$REDIS_PORT" $upstream ${NATIVE:+--native} >"$source"
    elif [ -n "${NATIVE:-}" ]; then
        source=$config.source
        "$command" emit envoy --config envoy.yaml --native >"$source"
    fi
    # In two steps: a new port may be another's old one.
    sed -e "s/port_value: 10000 /port_value: @api@ /" -e "s/port_value: 9901 /port_value: @admin@ /" \
        -e "s/port_value: 10001 /port_value: @upstream@ /" "$source" |
        sed -e "s/@api@/$port/" -e "s/@admin@/$admin/" -e "s/@upstream@/$UPSTREAM_PORT/" >"$config.$number.yaml"
    "$envoy" -c "$config.$number.yaml" --use-dynamic-base-id --log-level warning --component-log-level wasm:info,dynamic_modules:info &
    envoy_pid=$!
    pids="$pids $envoy_pid"
    ready "$envoy_pid" Envoy "import urllib.request as r; r.urlopen('http://127.0.0.1:$admin/ready', timeout=1)"
    number=$((number + 1))
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

END
if [ "$FLEET" -gt 1 ]; then
    cat <<END
$FLEET Envoys share limits and revocations: http://localhost:$PORT to http://localhost:$((PORT + FLEET - 1)) (admin $ADMIN_PORT to $((ADMIN_PORT + FLEET - 1))).
This token is then revoked at one, and refused by all within a second:
  curl -i -X POST http://localhost:$PORT/auth/revoke -H 'authorization: Bearer $reader'

END
fi
echo "Ctrl-C stops it."
wait "$envoy_pid"
