#!/usr/bin/env bash
# Checks all dependencies against deny.toml, including those of the fuzzers and the benchmarks only.
set -euo pipefail
cd "$(dirname "$0")/.."
database=https://github.com/RustSec/advisory-db

if ! cargo deny --version >/dev/null 2>&1; then
	echo "cargo-deny is missing: installing it (some minutes)"
	# Optimised it would take twice as long to build, and save seconds.
	CARGO_PROFILE_DEV_DEBUG=0 cargo install --quiet --locked --debug cargo-deny@0.20.2
fi
checks=(licenses bans sources)
if GIT_TERMINAL_PROMPT=0 timeout 20 git ls-remote --quiet "$database" HEAD >/dev/null 2>&1; then
	checks+=(advisories)
else
	echo "advisories are not checked: $database cannot be reached" >&2
fi
status=0
for manifest in Cargo.toml fuzz/Cargo.toml bench/core/Cargo.toml; do
	echo "deny $manifest (${checks[*]})"
	cargo deny --manifest-path "$manifest" --log-level error --config "$PWD/deny.toml" check "${checks[@]}" || status=1
done
exit "$status"
