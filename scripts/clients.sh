#!/usr/bin/env bash
# Runs the unmodified Python clients of other products against a server of this checkout, each in an environment of its own
# with exactly the packages that its folder in end2end/clients/ names.
#   scripts/clients.sh [FOLDER...]   all of them if none is given
#
# KEYFOLD_BIN is the program under test; without it a debug build is made. Environments are kept in the cache.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"

# One of them is tried behind a proxy.
[ -n "${TEST_PROXIES:-}" ] || exec scripts/proxies.sh scripts/clients.sh "$@"

if [ -z "${KEYFOLD_BIN:-}" ]; then
    use_toolchain
    cargo build --locked -p keyfold
    KEYFOLD_BIN=$(target_dir)/debug/keyfold
fi
export KEYFOLD_BIN

need python3 python3 python3-venv
python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || fail "the clients need Python 3.11 or newer"

clients=("$@")
if [ ${#clients[@]} -eq 0 ]; then
    for wanted in end2end/clients/*/requirements.txt; do
        clients+=("$(basename "$(dirname "$wanted")")")
    done
fi
status=0
for client in "${clients[@]}"; do
    say "$client"
    folder=$(python_env "$client" "$root/end2end/clients/$client/requirements.txt") || exit 1
    PYTHONDONTWRITEBYTECODE=1 "$folder/bin/python" end2end/clients/run.py "$client" || status=1
done
exit "$status"
