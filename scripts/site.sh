#!/usr/bin/env bash
# Compiles the front end for the browser and writes target/site/, which the server's build embeds.
#   scripts/site.sh         small and compressed, as it is shipped
#   scripts/site.sh --dev   quick to build, large, uncompressed
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"

profile=wasm-release
case "${1:-}" in
    "") ;;
    --dev) profile=dev ;;
    *) fail "usage: scripts/site.sh [--dev]" ;;
esac

use_toolchain

arguments=()
if [ "$profile" = wasm-release ]; then
    # The version that package-lock.json pins, where npm is at hand. Without npm, Debian's: smaller to install than npm
    # itself would be, and its output weighs the same.
    if have npm; then
        npm_ci tools/site
        arguments=(--wasm-opt tools/site/node_modules/.bin/wasm-opt)
    else
        need wasm-opt binaryen
        arguments=(--wasm-opt "$(command -v wasm-opt)")
    fi
fi

cargo build --locked -p frontend --lib --target wasm32-unknown-unknown --profile "$profile"
folder=$profile
[ "$profile" != dev ] || folder=debug
cargo run --quiet --locked -p site -- build \
    "$(target_dir)/wasm32-unknown-unknown/$folder/frontend.wasm" ${arguments[@]+"${arguments[@]}"}
