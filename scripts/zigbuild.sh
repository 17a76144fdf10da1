#!/bin/sh
# `cargo build` for an old C library, a static command or another processor: cargo-zigbuild, whose linker and C compiler are
# those of the PyPI package ziglang. Both are installed into .venv-zig on the first call. Arguments: the target, which may
# end in a version of glibc (x86_64-unknown-linux-gnu.2.31), then those of cargo build.
set -eu
cd "$(dirname "$0")/.."
versioned=$1
shift
case $versioned in *-gnu.*) target=${versioned%%.*} ;; *) target=$versioned ;; esac
test -d "$(rustc --print sysroot)/lib/rustlib/$target/lib" || rustup target add "$target"
if [ ! -x .venv-zig/bin/cargo-zigbuild ]; then
    python3 -m venv .venv-zig
    .venv-zig/bin/pip install --quiet --disable-pip-version-check ziglang==0.17.1 cargo-zigbuild==0.24.1
fi
PATH=$PWD/.venv-zig/bin:$PATH exec cargo-zigbuild zigbuild --quiet --target "$versioned" "$@"
