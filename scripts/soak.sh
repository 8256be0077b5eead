#!/usr/bin/env bash
# What takes too long for every change: Schemathesis with 10,000 requests for each role, with other questions each time, a
# server that is killed 100 times in the middle of its work and stopped as often, a locked and a full disk, two minutes of faults
# under three servers, and properties with many more cases: of texts from outside, also by a real fuzzer, and of random lives of keys
# beside a plain model of them.
# A run can be repeated: SEED=… make soak
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"

seed=${SEED:-$RANDOM}
say "seed $seed"
scripts/schemathesis.sh --requests 10000 --seed "$seed" "$@"
scripts/kills.sh
SEED=$seed scripts/history.sh
use_toolchain
export PROPTEST_RNG_SEED=$seed
PROPTEST_CASES=20000 cargo test --locked --release -p keyfold-domain -p keyfold-engine --lib
PROPTEST_CASES=50000 cargo test --locked --release -p keyfold-fuzz
scripts/fuzz.sh 120
PROPTEST_CASES=10000 scripts/postgres.sh cargo test --locked --release -p keyfold-engine --test contract -- model::
