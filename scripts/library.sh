#!/bin/sh
# Builds the native library with the cargo profile `native`, and leaves it in the file $1. With GLIBC=2.31 it runs on machines
# that have that C library or a later one, and with ARCH=aarch64 on arm64 that has 2.31. Without either it needs this machine's
# C library.
set -eu
cd "$(dirname "$0")/.."
target_dir=${CARGO_TARGET_DIR:-target}/library
here=$(uname -m)
arch=${ARCH:-$here}
glibc=${GLIBC:-$([ "$arch" = "$here" ] || echo 2.31)}
RUSTFLAGS="--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}/registry/src/= --remap-path-prefix=$PWD/="
export RUSTFLAGS

if [ -n "$glibc" ]; then
    target=$arch-unknown-linux-gnu
    scripts/zigbuild.sh "$target.$glibc" --profile native --package api-guard-envoy-native --target-dir "$target_dir"
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
