#!/bin/sh
# Gets the clients that tests/envoy/clients.rs runs: grpcio, websockets and aioquic into .venv, and as root Debian's Node, npm,
# Chromium and, for the tests of a fleet, redis-server. Gets what it can, and fails where something is missing in the end: the
# tests of it then say that they are skipped.
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
# What the tests of the playground and of a fleet need is got with it.
needed="node:nodejs npm:npm chromium:chromium"
command -v valkey-server >/dev/null || needed="$needed redis-server:redis-server"
wanted=
for command in $needed; do
    command -v "${command%:*}" >/dev/null || wanted="$wanted ${command#*:}"
done
if [ -n "$wanted" ] && [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
    # shellcheck disable=SC2086
    { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends $wanted; } >/dev/null || true
fi
for command in $needed; do
    command -v "${command%:*}" >/dev/null ||
        { echo "clients: ${command%:*} is missing (Debian: apt-get install ${command#*:})" >&2; missing=1; }
done
exit "$missing"
