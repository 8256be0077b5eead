#!/usr/bin/env bash
# Lets cargo-fuzz look at every text from outside (fuzz/), so many seconds each: scripts/fuzz.sh [SECONDS] [TARGET...]
# It needs a nightly compiler. Where there is none this says so; `make test` tries the same bodies without one.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"

seconds=${1:-60}
shift || true
targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=(token authorization template range cursor)
if ! have rustup || ! rustup run nightly rustc --version >/dev/null 2>&1; then
    note "no fuzzer ran: it needs a nightly compiler (rustup toolchain install nightly)"
    exit 0
fi
use_toolchain
cargo_fuzz=$(cargo_tool cargo-fuzz 0.13.2) || exit 1
for target in "${targets[@]}"; do
    say "fuzzing $target for $seconds seconds"
    # What it finds interesting stays in target/, the seeds as they are.
    mkdir -p "target/fuzz-corpus/$target"
    RUSTUP_TOOLCHAIN=nightly "$cargo_fuzz" run --features libfuzzer "$target" \
        "target/fuzz-corpus/$target" "fuzz/seeds/$target" -- "-max_total_time=$seconds" -max_len=512 -print_final_stats=1
done
