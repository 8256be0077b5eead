#!/usr/bin/env bash
# What takes too long for every change: Schemathesis with 10,000 requests for each role, with other questions each time, a
# server that is killed 100 times in the middle of its work, and two minutes of faults under three servers.
# A run can be repeated: SEED=… make soak
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"

seed=${SEED:-$RANDOM}
say "seed $seed"
scripts/schemathesis.sh --requests 10000 --seed "$seed" "$@"
scripts/kills.sh
SEED=$seed scripts/history.sh
