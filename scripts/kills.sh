#!/usr/bin/env bash
# A server that is killed in the middle of its work, 100 times or KILLS, on each database, and has lost nothing that it acknowledged; asked
# to stop as often, it turns nobody away and counts exactly. `make test` does the same 20 times.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"
use_toolchain

# Not nextest, which ends what takes three minutes.
KEYFOLD_TEST_KILLS=${KILLS:-100} KEYFOLD_TEST_STORMS=${STORMS:-20} scripts/postgres.sh \
    cargo test --locked -p keyfold --test it -- kills:: disk::
