#!/usr/bin/env bash
# Three servers on one PostgreSQL under faults, for two minutes or HISTORY_SECONDS, with 64 clients that ask: afterwards every
# answer is held against what was acknowledged when. `make test` does the same for nine seconds.
# A run can be repeated: SEED=… scripts/history.sh
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"
use_toolchain

# Not nextest, which ends what takes three minutes.
KEYFOLD_TEST_SEED=${SEED:-$RANDOM} KEYFOLD_TEST_HISTORY_SECONDS=${HISTORY_SECONDS:-120} KEYFOLD_TEST_HISTORY_CLIENTS=64 \
    scripts/postgres.sh cargo test --locked -p keyfold --test it -- \
    --exact history::no_answer_goes_by_what_an_acknowledged_change_has_ended --nocapture
