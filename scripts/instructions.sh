#!/usr/bin/env bash
# Counts the instructions of a verification with valgrind, beside a bare axum route, and fails where they have become more (or
# fewer) than tools/bench/src/instructions.rs says. In the build that the tests run: nothing is optimised, so the figures say
# nothing of how fast Keyfold is (`make bench` does), but they repeat, on any machine, within one in a hundred.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"

need taskset util-linux
need valgrind valgrind
use_toolchain
# As the tests are compiled, so that next to nothing is compiled again.
cargo build --locked "${host_packages[@]}"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
target=$(target_dir)
"$target/debug/bench" gate --keyfold "$target/debug/keyfold" --folder "$folder"
