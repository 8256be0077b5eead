#!/usr/bin/env bash
# Measures the binary as it is shipped, prints one table and writes docs/benchmarks.md; then what Lighthouse says of the list
# of keys. Takes about eight minutes, and wants a machine on which nothing else runs.
#   scripts/bench.sh            everything
#   scripts/bench.sh --quick    short slices and fewer keys, to see that it works; writes nothing
#   scripts/bench.sh --lists [KEYS]
#                               the pages of keys alone, in every order and under every filter, with 100,000 keys or that many;
#                               writes nothing. 1000000 takes an hour, most of it to make the keys
#
# Files with secrets of throw-away installations lie in a folder of target/ until the end, however that comes.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"

arguments=(--report docs/benchmarks.md)
case "${1:-}" in
    "") ;;
    --quick) arguments=(--keys 10000 --rounds 1 --seconds 1) ;;
    --lists) arguments=(--keys "${2:-100000}") ;;
    *) fail "usage: scripts/bench.sh [--quick | --lists [KEYS]]" ;;
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
part=run
[ "${1:-}" = --lists ] && part=lists
scripts/postgres.sh --durable "$release/bench" "$part" --keyfold "$release/keyfold" --folder "$folder" "${arguments[@]}"

# Last, because it fails if the list of keys is slower than promised: Lighthouse, five runs, the figures in target/lighthouse.json.
case "${1:-}" in --quick | --lists) ;; *) scripts/e2e.sh lighthouse ;; esac
