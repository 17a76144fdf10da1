#!/usr/bin/env bash
# Changes the decision code in every way that .cargo/mutants.toml names, one at a time, and sees whether a test fails.
# Arguments go to cargo mutants. The mutants that no test catches are explained in tests/mutants.md.
set -euo pipefail
cd "$(dirname "$0")/.."
if ! cargo mutants --version >/dev/null 2>&1; then
	echo "cargo-mutants is missing: installing it (some minutes)"
	cargo install --quiet --locked cargo-mutants@27.1.0
fi
status=0
API_GUARD_VECTORS=${API_GUARD_VECTORS:-$PWD/../shared/vectors} cargo mutants --jobs 1 --output target "$@" || status=$?
count() { wc -l <"target/mutants.out/$1.txt"; }
caught=$(($(count caught) + $(count timeout)))
viable=$((caught + $(count missed)))
echo "mutants: $caught of $viable caught ($((viable ? caught * 1000 / viable : 0)) in 1000), $(count unviable) not viable"
# Missed ones are not a failure of the run: at least 95 in 100 must be caught.
[ "$status" -eq 0 ] || [ "$status" -eq 2 ] || [ "$status" -eq 3 ] || exit "$status"
[ $((caught * 100)) -ge $((viable * 95)) ]
