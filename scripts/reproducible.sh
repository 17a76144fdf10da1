#!/bin/sh
# Builds the last commit in two folders of different names, and compares every byte: the whole release, or what the make
# target $1 leaves. With `module`, the module alone is built, once, in another folder, and compared with the one that
# `make build` has left here.
set -eu
cd "$(dirname "$0")/.."
what=${1:-dist}
room=$(mktemp -d "${TMPDIR:-/tmp}/api-guard-twice.XXXXXX")
trap 'rm -rf "$room"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
# In a target folder of its own: nothing of one build may help the other.
build() {
    git -c advice.detachedHead=false clone --quiet . "$room/$1"
    env -u CARGO_TARGET_DIR "${MAKE:-make}" --no-print-directory -C "$room/$1" "$2"
}
if [ "$what" = module ]; then
    [ -f dist/api_guard.wasm ] || { echo "there is nothing to compare with: make build" >&2; exit 1; }
    git diff --quiet HEAD || { echo "not everything is committed: the other folder has the last commit only" >&2; exit 1; }
    build another-folder build
    cmp dist/api_guard.wasm "$room/another-folder/dist/api_guard.wasm"
else
    build one "$what"
    build another-folder "$what"
    diff -r "$room/one/dist" "$room/another-folder/dist"
fi
echo "both builds have the same bytes"
