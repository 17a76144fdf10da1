#!/bin/sh
# Builds the native library with the cargo profile `native`, and leaves it in the file $1. With GLIBC=2.31 it runs on machines
# that have that C library or a later one, and with ARCH=aarch64 on arm64: the PyPI packages ziglang and cargo-zigbuild, which
# link for either, are installed into .venv-zig on the first call. Without them it needs this machine's C library.
set -eu
cd "$(dirname "$0")/.."
target_dir=${CARGO_TARGET_DIR:-target}/library
arch=${ARCH:-$(uname -m)}
RUSTFLAGS="--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}/registry/src/= --remap-path-prefix=$PWD/="
export RUSTFLAGS

if [ -n "${GLIBC:-}" ]; then
    target=$arch-unknown-linux-gnu
    test -d "$(rustc --print sysroot)/lib/rustlib/$target" || rustup target add "$target"
    if [ ! -x .venv-zig/bin/cargo-zigbuild ]; then
        python3 -m venv .venv-zig
        .venv-zig/bin/pip install --quiet --disable-pip-version-check ziglang==0.17.1 cargo-zigbuild==0.24.1
    fi
    PATH=$PWD/.venv-zig/bin:$PATH cargo-zigbuild zigbuild --quiet --profile native --package api-guard-envoy-native \
        --target "$target.$GLIBC" --target-dir "$target_dir"
    built=$target_dir/$target/native/libapi_guard_native.so
else
    cargo build --quiet --profile native --package api-guard-envoy-native --target-dir "$target_dir"
    built=$target_dir/native/libapi_guard_native.so
fi
mkdir -p "$(dirname "$1")"
# An Envoy that runs may have the old file mapped.
cp "$built" "$1.new"
mv "$1.new" "$1"
echo "$1: $(wc -c <"$1") bytes"
