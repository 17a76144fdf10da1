#!/bin/sh
# Builds command and library for release and packs everything into dist/: for this machine, and static commands for both
# Linux processors. The module is there already. A target whose standard library cannot be had is left out, and told, unless
# TARGETS names it (TARGETS='x86_64-unknown-linux-musl': the command for this alone).
set -eu
cd "$(dirname "$0")/.."
host=$(rustc -vV | sed -n 's/^host: //p')
target_dir=${CARGO_TARGET_DIR:-target}
# What an earlier release had is no part of this one.
rm -f dist/api-guard-*.tgz dist/libapi_guard*.so dist/SHA256SUMS
# No path of this machine stays in what is built.
RUSTFLAGS="--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}/registry/src/= --remap-path-prefix=$PWD/="
export RUSTFLAGS API_GUARD_MODULE="$PWD/dist/api_guard.wasm"

# Whether there is a standard library for a target.
is_buildable() {
    [ -d "$(rustc --print sysroot)/lib/rustlib/$1/lib" ] || rustup target add "$1" >/dev/null 2>&1 || {
        [ -z "${TARGETS:-}" ] || { echo "$1 cannot be built: rustup target add $1" >&2; exit 1; }
        echo "$2: rustup target add $1" >&2
        return 1
    }
}

# The library for a processor: libapi_guard.so is this machine's. Any machine with glibc 2.31 or later loads it.
library() {
    name=dist/libapi_guard.so
    [ "$1" = "${host%%-*}" ] || name=dist/libapi_guard-$1.so
    if [ ! -f "$name" ]; then
        is_buildable "$1-unknown-linux-gnu" "no library for $1" || return 0
        env -u RUSTFLAGS COUNTS=required GLIBC=2.31 ARCH="$1" scripts/library.sh "$name" >&2
    fi
    echo "$PWD/$name"
}

# The command for a target: on Linux for glibc 2.31 or later, or for any.
build() {
    case $1 in
    *-linux-gnu) scripts/zigbuild.sh "$1.2.31" --release --locked --bin api-guard ;;
    *-linux-*) scripts/zigbuild.sh "$1" --release --locked --bin api-guard ;;
    *) cargo build --quiet --release --locked --target "$1" --bin api-guard ;;
    esac
}

# It runs: here, or in an emulator, if there is one and the command needs no C library of another machine.
try() {
    emulator=
    case $1 in "${host%%-*}"-* | *-musl) ;; *) return ;; esac
    if [ "${1%%-*}" != "${host%%-*}" ]; then
        emulator=$(command -v "qemu-${1%%-*}-static" || command -v "qemu-${1%%-*}") || {
            echo "the command for $1 was not tried: qemu-user is missing" >&2
            return
        }
    fi
    $emulator "$2" --version >&2
}

built=
for target in ${TARGETS:-"$host" x86_64-unknown-linux-musl aarch64-unknown-linux-musl}; do
    case " $built" in *" $target="*) continue ;; esac
    is_buildable "$target" "no command for $target" || continue
    library=
    case $target in *-linux-*) library=$(library "${target%%-*}") ;; esac
    echo "building the command for $target" >&2
    API_GUARD_LIBRARY=$library build "$target"
    try "$target" "$target_dir/$target/release/api-guard"
    built="$built$target=$target_dir/$target/release/api-guard "
done
# shellcheck disable=SC2086
python3 scripts/dist.py $built
