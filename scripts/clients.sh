#!/usr/bin/env bash
# Runs the unmodified Python clients of other products against a server of this checkout, each in an environment of its own
# with exactly the packages that its folder in end2end/clients/ names.
#   scripts/clients.sh [FOLDER...]   all of them if none is given
#
# KEYFOLD_BIN is the program under test; without it a debug build is made. Environments are kept in the cache.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"

if [ -z "${KEYFOLD_BIN:-}" ]; then
    use_toolchain
    cargo build --locked -p keyfold
    KEYFOLD_BIN=$(target_dir)/debug/keyfold
fi
export KEYFOLD_BIN

need python3 python3 python3-venv
python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || fail "the clients need Python 3.11 or newer"
# Debian's Python comes without the part that makes environments.
python3 -c 'import ensurepip, venv' 2>/dev/null || apt_install python3-venv

# environment FOLDER: prints where the packages of that client are, after installing them if they are not there yet. A
# folder that was not finished is made again; whoever comes meanwhile waits.
environment() {
    local wanted=$1/requirements.txt name folder
    name=$({ python3 --version && cat "$wanted"; } | sha256sum | cut -c1-16)
    folder=$cache/python/$name
    mkdir -p "$cache/python"
    (
        flock 9
        if [ ! -e "$folder/complete" ]; then
            say "installing the packages of $wanted"
            rm -rf "$folder"
            python3 -m venv "$folder"
            "$folder/bin/pip" install --quiet --disable-pip-version-check --no-deps -r "$wanted" >&2
            touch "$folder/complete"
        fi
    ) 9>"$folder.lock"
    printf '%s\n' "$folder"
}

clients=("$@")
if [ ${#clients[@]} -eq 0 ]; then
    for wanted in end2end/clients/*/requirements.txt; do
        clients+=("$(basename "$(dirname "$wanted")")")
    done
fi
status=0
for client in "${clients[@]}"; do
    say "$client"
    folder=$(environment "end2end/clients/$client")
    PYTHONDONTWRITEBYTECODE=1 "$folder/bin/python" end2end/clients/run.py "$client" || status=1
done
exit "$status"
