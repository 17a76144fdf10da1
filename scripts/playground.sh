#!/bin/sh
# Builds the page of the playground into a folder: the core for browsers by cargo, the rest by npm (esbuild).
set -eu
cd "$(dirname "$0")/.."
folder=$PWD/${1:?usage: scripts/playground.sh FOLDER}
page=crates/playground/page
target_dir=${CARGO_TARGET_DIR:-target}
command -v node >/dev/null && command -v npm >/dev/null ||
    { echo "the playground needs Node and npm (Debian: apt-get install nodejs npm)" >&2; exit 1; }
# No path of this machine stays in what is built.
CARGO_TARGET_WASM32_WASIP1_RUSTFLAGS="--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}/registry/src/= --remap-path-prefix=$PWD/=" \
    cargo build --quiet --profile playground --locked --target wasm32-wasip1 --package api-guard-playground
if [ ! -e "$page/node_modules/.package-lock.json" ] || [ "$page/package-lock.json" -nt "$page/node_modules/.package-lock.json" ]; then
    npm ci --prefix "$page" --silent --no-audit --no-fund --ignore-scripts >&2
fi
node "$page/build.mjs" "$target_dir/wasm32-wasip1/playground/api_guard_playground.wasm" "$folder"
bytes=$(cat "$folder"/* | wc -c)
echo "${folder#"$PWD"/}: $bytes bytes" >&2
