#!/bin/sh
# Builds the command for release, for this machine and for each Linux target (musl, static) whose standard library is
# installed (rustup target add x86_64-unknown-linux-musl), and packs everything into dist/. The module is there already.
set -eu
cd "$(dirname "$0")/.."
host=$(rustc -vV | sed -n 's/^host: //p')
target_dir=${CARGO_TARGET_DIR:-target}
# No path of this machine stays in what is built.
RUSTFLAGS="--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}/registry/src/= --remap-path-prefix=$PWD/="
export RUSTFLAGS API_GUARD_MODULE="$PWD/dist/api_guard.wasm"
# Links for another processor too.
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_LINKER=rust-lld
built=
for target in "$host" x86_64-unknown-linux-musl aarch64-unknown-linux-musl; do
    case " $built" in *" $target="*) continue ;; esac
    [ -d "$(rustc --print sysroot)/lib/rustlib/$target/lib" ] || continue
    echo "building the command for $target" >&2
    cargo build --quiet --release --locked --target "$target" --bin api-guard
    built="$built$target=$target_dir/$target/release/api-guard "
done
# shellcheck disable=SC2086
python3 scripts/dist.py $built
