#!/usr/bin/env bash
# Runs every fuzz target for SECONDS_EACH seconds from its committed corpus, and prints how much each executed.
# Needs only the pinned toolchain: coverage comes from the compiler's stable options. The core has no unsafe code and needs no
# sanitizer; the target `border`, the native library's side of Envoy's C ABI, is built with AddressSanitizer. Failing inputs are kept in fuzz/artifacts, new inputs in fuzz/fresh.
# FUZZ_SEED=1 makes the same inputs in the same order each time, so that a change is refused for what it does and not for its luck.
set -euo pipefail
cd "$(dirname "$0")/.."
each=${1:-60}
of_core=(request token config cells revoke_body exchange key_set store_reply)

if ! cargo fuzz --version >/dev/null 2>&1; then
	echo "cargo-fuzz is missing: installing it (a minute)"
	# Optimised it would take longer to build, and save nothing: others do the work.
	CARGO_PROFILE_DEV_DEBUG=0 cargo install --quiet --locked --debug cargo-fuzz@0.13.2
fi
export RUSTC_BOOTSTRAP=1 # the engine's coverage passes are options that only nightly takes otherwise
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
# What runs in the background does not hear Ctrl-C.
trap 'trap - TERM; kill -TERM 0' INT

# One target to its end, into a log of its own.
run() {
	local sanitizer=$1 target=$2 started status=0
	mkdir -p "fuzz/fresh/$target" "fuzz/corpus/$target"
	started=$(date +%s)
	cargo fuzz run --sanitizer "$sanitizer" "$target" "fuzz/fresh/$target" "fuzz/corpus/$target" -- \
		-max_total_time="$each" -seed="${FUZZ_SEED:-0}" -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 >"$logs/$target" 2>&1 || status=$?
	local executed covered
	executed=$(sed -n 's/^stat::number_of_executed_units: *//p' "$logs/$target")
	covered=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$logs/$target" | tail -n 1)
	echo "fuzz $target: ${executed:-0} executions, ${covered:-0} edges, $(($(date +%s) - started)) s, exit $status"
	[ "$status" -eq 0 ] || tail -n 60 "$logs/$target" >&2
	return "$status"
}

# Builds targets with a sanitizer: all, if none is named.
build() { cargo fuzz build --sanitizer "$@" >"$logs/build" 2>&1 || { cat "$logs/build" >&2; exit 1; }; }

failed=0
# Runs targets that were built with a sanitizer. A target has one thread: as many at once as there are processors.
run_all() {
	local sanitizer=$1 first target pid running
	shift
	for ((first = 1; first <= $#; first += $(nproc))); do
		running=()
		for target in "${@:first:$(nproc)}"; do
			run "$sanitizer" "$target" &
			running+=($!)
		done
		for pid in "${running[@]}"; do
			wait "$pid" || failed=1
		done
	done
}

# Those of the core have everything in common, and are built at once.
build none
run_all none "${of_core[@]}"
build address border
run_all address border
exit "$failed"
