#!/usr/bin/env bash
# Measures the binary as it is shipped, prints one table and writes docs/benchmarks.md; then what Lighthouse says of the list
# of keys. Takes about eight minutes, and wants a machine on which nothing else runs.
#   scripts/bench.sh            everything
#   scripts/bench.sh --quick    short slices and fewer keys, to see that it works; writes nothing
#
# Files with secrets of throw-away installations lie in a folder of target/ until the end, however that comes.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"

arguments=(--report docs/benchmarks.md)
case "${1:-}" in
    "") ;;
    --quick) arguments=(--keys 10000 --rounds 1 --seconds 1) ;;
    *) fail "usage: scripts/bench.sh [--quick]" ;;
esac

need taskset util-linux
need wrk wrk
need valgrind valgrind
scripts/build.sh
# Named together, so that nothing of the server is compiled again. build.sh looked for the compiler.
# shellcheck source=/dev/null
. target/toolchain.env
cargo build --release --locked -p keyfold -p bench

release=$(target_dir)/release
folder=$(mktemp -d "$(target_dir)/bench.XXXXXX")
trap 'rm -rf "$folder"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
scripts/postgres.sh --durable "$release/bench" run --keyfold "$release/keyfold" --folder "$folder" "${arguments[@]}"

# Last, because it fails if the list of keys is slower than promised: Lighthouse, five runs, the figures in target/lighthouse.json.
[ "${1:-}" = --quick ] || scripts/e2e.sh lighthouse
