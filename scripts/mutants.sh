#!/usr/bin/env bash
# Changes the decision code in every way that .cargo/mutants.toml names, one at a time, and checks that a test fails.
# Arguments go to cargo mutants. The mutants that no test catches are explained in tests/mutants.md.
set -euo pipefail
cd "$(dirname "$0")/.."
if ! cargo mutants --version >/dev/null 2>&1; then
	echo "cargo-mutants is missing: installing it (some minutes)"
	cargo install --quiet --locked cargo-mutants@27.1.0
fi
# Dependencies are kept for the next run; a mutant needs neither debug information nor a minimal failing case.
export CARGO_TARGET_DIR=$PWD/target/mutants CARGO_PROFILE_DEV_DEBUG=0
export PROPTEST_MAX_SHRINK_ITERS=0 PROPTEST_DISABLE_FAILURE_PERSISTENCE=1
export API_GUARD_VECTORS=${API_GUARD_VECTORS:-$PWD/../shared/vectors}
run() {
	local status=0
	# The last mutant of another run would pass for what this one starts from.
	cargo clean --quiet --package api-guard --package api-guard-core
	cargo mutants --jobs 1 --output target --package api-guard-core "$@" || status=$?
	# Missed ones and endless ones are no failure of the run.
	[ "$status" -eq 0 ] || [ "$status" -eq 2 ] || [ "$status" -eq 3 ] || exit "$status"
}
count() { wc -l <"target/mutants.out/$1.txt"; }

# Most of the time goes into building, so there are three passes. The fast unit tests catch most mutants, the tests of
# streams, guard and limits catch some of the rest, and every test that needs no Envoy runs on what remains.
slow=(sixty_thousand_revocations the_table_agrees_with_scoring a_hostile_path_visits nothing_promised_is_forgotten
	memory_is_bounded newcomers_never_let)
caught=0 unviable=0
quick() {
	run --config <(grep -v '^additional_cargo_args' .cargo/mutants.toml) --minimum-test-timeout 30 "$@" \
		-- -- "${slow[@]/#/--skip=}"
	tally
	# What hangs a quick test hangs a slow one.
	cat target/mutants.out/timeout.txt >>target/mutants.out/caught.txt
}
tally() {
	caught=$((caught + $(count caught) + $(count timeout))) unviable=$((unviable + $(count unviable)))
}
quick -C=--lib "$@"
quick -C=--test -C=exchange -C=--test -C=guard -C=--test -C=limit --iterate "$@"
run --iterate "$@"
tally
viable=$((caught + $(count missed)))
echo "mutants: $caught of $viable caught ($((viable ? caught * 1000 / viable : 0)) in 1000), $unviable not viable"
# At least 95 in 100 must be caught.
[ $((caught * 100)) -ge $((viable * 95)) ]
