#!/bin/sh
# Builds the release of the last commit in two folders of different names, and compares every byte.
set -eu
cd "$(dirname "$0")/.."
room=$(mktemp -d "${TMPDIR:-/tmp}/api-guard-twice.XXXXXX")
trap 'rm -rf "$room"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
for name in one another-folder; do
    git clone --quiet . "$room/$name"
    # Each with a target folder of its own: nothing of one build may help the other.
    env -u CARGO_TARGET_DIR "${MAKE:-make}" --no-print-directory -C "$room/$name" "${1:-dist}"
done
diff -r "$room/one/dist" "$room/another-folder/dist"
echo "both builds have the same bytes"
