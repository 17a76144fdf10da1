#!/bin/sh
# Gets the clients that tests/envoy/clients.rs runs: grpcio, websockets and aioquic into .venv, and as root Debian's Node. Gets
# the store that tests of a fleet run, too, as root Debian's redis-server. Gets what it can, and fails where something is missing
# in the end: the tests of it then say that they are skipped.
set -eu
cd "$(dirname "$0")/.."
GRPCIO=1.76.0
WEBSOCKETS=15.0.1
AIOQUIC=1.7.2
missing=0

if ! .venv/bin/python -c "import grpc, websockets, aioquic" 2>/dev/null; then
    [ -x .venv/bin/python ] || python3 -m venv .venv >&2 || true
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --timeout 30 --retries 2 \
        "grpcio==$GRPCIO" "websockets==$WEBSOCKETS" "aioquic==$AIOQUIC" >&2 ||
        { echo "clients: grpcio, websockets and aioquic could not be installed into .venv" >&2; missing=1; }
fi
# Installs Debian's package $2, if there is no command $1.
debian() {
    command -v "$1" >/dev/null && return
    if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
        { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends "$2"; } >/dev/null || true
    fi
    command -v "$1" >/dev/null || { echo "clients: $1 is missing (Debian: apt-get install $2)" >&2; missing=1; }
}
debian node nodejs
command -v valkey-server >/dev/null || debian redis-server redis-server
exit "$missing"
