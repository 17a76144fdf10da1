#!/bin/sh
# Builds the native library with the cargo profile `native`, and leaves it in the file $1. With GLIBC=2.31 it runs on machines
# that have that C library or a later one, and with ARCH=aarch64 on arm64 that has 2.31. Without either it needs this machine's
# C library.
#
# For this machine's processor it is built twice: first so that it counts which of its code usual requests run
# (crates/envoy-native/tests/training.rs), then by these counts, so that what they run lies together. That takes rustup's
# component llvm-tools; COUNTS=required fails without it, and COUNTS=none builds once, without counts.
set -eu
cd "$(dirname "$0")/.."
target_dir=${CARGO_TARGET_DIR:-target}/library
host=$(rustc -vV | sed -n 's/^host: //p')
arch=${ARCH:-${host%%-*}}
glibc=${GLIBC:-$([ "$arch" = "${host%%-*}" ] || echo 2.31)}
target=$host
[ -z "$glibc" ] || target=$arch-unknown-linux-gnu
flags="--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}/registry/src/= --remap-path-prefix=$PWD/="

# Prints the options by which the compiler knows what is run, or nothing.
counted() {
    [ "${COUNTS:-}" != none ] || return 0
    if [ "$target" != "$host" ]; then
        echo "$target: built without counts, because it cannot be run here" >&2
        return
    fi
    profdata=$(rustc --print sysroot)/lib/rustlib/$host/bin/llvm-profdata
    [ -x "$profdata" ] || rustup component add llvm-tools >/dev/null 2>&1 || true
    if [ ! -x "$profdata" ]; then
        echo "built without counts, because llvm-tools is missing: rustup component add llvm-tools" >&2
        [ "${COUNTS:-}" != required ] || exit 1
        return
    fi
    counts=$(mkdir -p "$target_dir/counts" && cd "$target_dir/counts" && pwd)
    rm -f "$counts"/*.profraw "$counts"/*.profdata
    RUSTFLAGS="$flags -Cprofile-generate=$counts" cargo test --quiet --profile native --target "$target" \
        --package api-guard-envoy-native --test training --target-dir "$target_dir/training" >"$counts/log" 2>&1 ||
        { cat "$counts/log" >&2; exit 1; }
    # Two builds should have the same bytes, so what depends on the machine does not count: what the ticker's thread and the test
    # harness run, and what else is run a few times only.
    "$profdata" merge --text --no-function='^training\.|ticker' --output="$counts/text" "$counts"/*.profraw >"$counts/log" 2>&1 ||
        { cat "$counts/log" >&2; exit 1; }
    awk '/^#/ { counter = /Counter Values/ } counter && /^[0-9]+$/ && $1 < 32 { $1 = 0 } { print }' "$counts/text" >"$counts/often"
    "$profdata" merge --output="$counts/new" "$counts/often"
    # cargo builds again where the options differ, but does not look into the file.
    profile=$counts/$(cksum <"$counts/new" | tr ' ' -).profdata
    mv "$counts/new" "$profile"
    echo "-Cprofile-use=$profile"
}

options=$(counted)
RUSTFLAGS="$flags $options"
export RUSTFLAGS
if [ -n "$glibc" ]; then
    scripts/zigbuild.sh "$target.$glibc" --profile native --package api-guard-envoy-native --target-dir "$target_dir"
else
    cargo build --quiet --profile native --target "$target" --package api-guard-envoy-native --target-dir "$target_dir"
fi
mkdir -p "$(dirname "$1")"
# An Envoy that runs may have the old file mapped.
cp "$target_dir/$target/native/libapi_guard_native.so" "$1.new"
mv "$1.new" "$1"
echo "$1: $(wc -c <"$1") bytes"
