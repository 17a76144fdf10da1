#!/usr/bin/env bash
# Line coverage of the core by the tests that need no Envoy (the adapter is tested as a module, which this
# does not count). Needs the toolchain's own llvm-tools, which match its compiler.
set -euo pipefail
cd "$(dirname "$0")/.."
bin="$(rustc --print sysroot)/lib/rustlib/$(rustc -vV | sed -n 's/^host: //p')/bin"
[ -x "$bin/llvm-cov" ] || rustup component add llvm-tools >/dev/null 2>&1 || true
[ -x "$bin/llvm-cov" ] || { echo "llvm-tools are missing: rustup component add llvm-tools" >&2; exit 1; }

work="${CARGO_TARGET_DIR:-target}/coverage"
rm -rf "$work/raw"
mkdir -p "$work/raw"
work=$(cd "$work" && pwd)
export RUSTFLAGS="-C instrument-coverage" CARGO_TARGET_DIR="$work/build" LLVM_PROFILE_FILE="$work/raw/%p-%m.profraw"
log=$work/log
cargo test --package api-guard-core --package api-guard --lib --test model --test limit --test config --test vectors --test decisions --test guard >"$log" 2>&1 || { tail -n 60 "$log" >&2; exit 1; }
# A command that a test starts with an empty environment would write its profile here; it is not counted.
find . -maxdepth 1 -name 'default_*.profraw' -delete
objects=()
while IFS= read -r object; do objects+=(--object "$object"); done < <(sed -n 's/^ *Running .*(\(.*\))$/\1/p' "$log")
"$bin/llvm-profdata" merge --sparse "$work"/raw/*.profraw --output "$work/all.profdata"
"$bin/llvm-cov" report "${objects[@]}" --instr-profile "$work/all.profdata" --ignore-filename-regex '(/\.cargo/|/bin/|/rustc/|tests?/|tests\.rs|/target/)' |
	sed -n '/\.rs /p;/^TOTAL/p' | awk '{ printf "%-44s %8s lines, %s missed, %s\n", $1, $8, $9, $10 }'
