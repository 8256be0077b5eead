#!/usr/bin/env bash
# A server that is killed in the middle of its work, 100 times or KILLS, and has lost nothing that it acknowledged. `make test` does the
# same 20 times.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"
use_toolchain

# Not nextest, which ends what takes three minutes.
KEYFOLD_TEST_KILLS=${KILLS:-100} cargo test --locked -p keyfold --test it -- \
    --exact command_line::a_killed_server_has_lost_no_acknowledged_write
