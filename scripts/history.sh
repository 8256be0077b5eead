#!/usr/bin/env bash
# Three servers on one PostgreSQL under faults, for two minutes or HISTORY_SECONDS, with 64 clients that ask: afterwards every
# answer is held against what was acknowledged when. Then the same on a database that is killed and started again, and replaced
# by its standby. `make test` does both for some seconds.
# A run can be repeated: SEED=… scripts/history.sh
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"
use_toolchain

# Not nextest, which ends what takes three minutes.
seed=${SEED:-$RANDOM}
for history in no_answer_goes_by_what_an_acknowledged_change_has_ended \
    nothing_acknowledged_is_lost_when_the_database_is_killed_and_its_standby_promoted; do
    KEYFOLD_TEST_SEED=$seed KEYFOLD_TEST_HISTORY_SECONDS=${HISTORY_SECONDS:-120} KEYFOLD_TEST_HISTORY_CLIENTS=64 \
        scripts/postgres.sh cargo test --locked -p keyfold --test it -- \
        --exact "history::$history" --nocapture
done
