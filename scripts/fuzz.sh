#!/usr/bin/env bash
# Runs every fuzz target for SECONDS_EACH seconds from its committed corpus, and prints how much each executed.
# Needs only the pinned toolchain: coverage comes from the compiler's stable options. The core has no unsafe code and needs no
# sanitizer; the target `border`, the native library's side of Envoy's C ABI, is built with AddressSanitizer. Failing inputs are kept in fuzz/artifacts, new inputs in fuzz/fresh.
# FUZZ_SEED=1 makes the same inputs in the same order each time, so that a change is refused for what it does and not for its luck.
set -euo pipefail
cd "$(dirname "$0")/.."
each=${1:-60}
targets=(request token config cells revoke_body exchange key_set store_reply border)
sanitizer_of() { [ "$1" = border ] && echo address || echo none; }

if ! cargo fuzz --version >/dev/null 2>&1; then
	echo "cargo-fuzz is missing: installing it (a minute)"
	cargo install --quiet --locked cargo-fuzz@0.13.2
fi
export RUSTC_BOOTSTRAP=1 # the engine's coverage passes are options that only nightly takes otherwise
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
# What runs in the background does not hear Ctrl-C.
trap 'trap - TERM; kill -TERM 0' INT
# Those without a sanitizer share what they are made of, and are built at once.
cargo fuzz build --sanitizer none >"$logs/build" 2>&1 || { cat "$logs/build" >&2; exit 1; }
cargo fuzz build --sanitizer address border >"$logs/build" 2>&1 || { cat "$logs/build" >&2; exit 1; }
# One target to its end, into a log of its own.
run() {
	local target=$1 started status=0
	mkdir -p "fuzz/fresh/$target" "fuzz/corpus/$target"
	started=$(date +%s)
	cargo fuzz run --sanitizer "$(sanitizer_of "$target")" "$target" "fuzz/fresh/$target" "fuzz/corpus/$target" -- \
		-max_total_time="$each" -seed="${FUZZ_SEED:-0}" -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 >"$logs/$target" 2>&1 || status=$?
	local executed covered
	executed=$(sed -n 's/^stat::number_of_executed_units: *//p' "$logs/$target")
	covered=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$logs/$target" | tail -n 1)
	echo "fuzz $target: ${executed:-0} executions, ${covered:-0} edges, $(($(date +%s) - started)) s, exit $status"
	[ "$status" -eq 0 ] || tail -n 60 "$logs/$target" >&2
	return "$status"
}

# A target has one thread: as many at once as there are processors.
failed=0
for ((first = 0; first < ${#targets[@]}; first += $(nproc))); do
	running=()
	for target in "${targets[@]:first:$(nproc)}"; do
		run "$target" &
		running+=($!)
	done
	for pid in "${running[@]}"; do
		wait "$pid" || failed=1
	done
done
exit "$failed"
