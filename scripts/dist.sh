#!/bin/sh
# Builds command and library for release and packs everything into dist/: for this machine, and for each Linux processor
# whose standard library of musl is installed (rustup target add x86_64-unknown-linux-musl). The module is there already.
# TARGETS='x86_64-unknown-linux-musl': the command for these alone.
set -eu
cd "$(dirname "$0")/.."
host=$(rustc -vV | sed -n 's/^host: //p')
target_dir=${CARGO_TARGET_DIR:-target}
# What an earlier release had is no part of this one.
rm -f dist/api-guard-*.tgz dist/libapi_guard*.so dist/SHA256SUMS
# No path of this machine stays in what is built.
RUSTFLAGS="--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}/registry/src/= --remap-path-prefix=$PWD/="
export RUSTFLAGS API_GUARD_MODULE="$PWD/dist/api_guard.wasm"
# Links for another processor too.
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_LINKER=rust-lld

# The library for a processor: libapi_guard.so is this machine's. Any machine with glibc 2.31 or later loads it.
library() {
    name=dist/libapi_guard.so
    [ "$1" = "${host%%-*}" ] || name=dist/libapi_guard-$1.so
    [ -f "$name" ] || env -u RUSTFLAGS GLIBC=2.31 ARCH="$1" scripts/library.sh "$name" >&2
    echo "$PWD/$name"
}

built=
for target in ${TARGETS:-"$host" x86_64-unknown-linux-musl aarch64-unknown-linux-musl}; do
    case " $built" in *" $target="*) continue ;; esac
    if [ ! -d "$(rustc --print sysroot)/lib/rustlib/$target/lib" ]; then
        echo "no command for $target: rustup target add $target" >&2
        continue
    fi
    library=
    case $target in *-linux-*) library=$(library "${target%%-*}") ;; esac
    echo "building the command for $target" >&2
    API_GUARD_LIBRARY=$library cargo build --quiet --release --locked --target "$target" --bin api-guard
    built="$built$target=$target_dir/$target/release/api-guard "
done
# shellcheck disable=SC2086
python3 scripts/dist.py $built
