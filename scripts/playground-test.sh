#!/bin/sh
# Tries the playground in a real browser, as the command serves it. Says SKIPPED where there is no Node, no page or no Chromium.
set -eu
cd "$(dirname "$0")/.."
skip() { echo "SKIPPED: the tests of the playground: $1"; exit 0; }
command -v node >/dev/null || skip "node is missing (Debian: apt-get install nodejs npm)"
[ -e dist/playground/index.html ] || skip "the page was not built: npm is missing (Debian: apt-get install npm)"
CHROMIUM=${CHROMIUM:-$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)}
[ -n "$CHROMIUM" ] || skip "Chromium is missing (Debian: apt-get install chromium)"
export CHROMIUM API_GUARD_PLAYGROUND="$PWD/dist/playground"
cargo build --quiet --bin api-guard
API_GUARD=${CARGO_TARGET_DIR:-target}/debug/api-guard
export API_GUARD
log=$(mktemp)
trap 'rm -f "$log"' EXIT
status=0
node --test --test-reporter=spec tests/playground/*.test.mjs >"$log" 2>&1 || status=$?
cat "$log"
count() { sed -n "s/^ℹ $1 \([0-9]*\)$/\1/p" "$log" | tail -n 1; }
echo "test result: $([ "$status" -eq 0 ] && echo ok || echo FAILED). $(count pass) passed; $(count fail) failed; of the playground"
exit "$status"
