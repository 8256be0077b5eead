#!/usr/bin/env bash
# Runs a debug build of the server and rebuilds it, and the site, whenever a source file changes.
# Arguments are passed on to `keyfold serve`. A build that fails leaves the last good server running.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"

use_toolchain
# A restart should not wait for load balancers.
export KEYFOLD_SHUTDOWN_DELAY_SECONDS=${KEYFOLD_SHUTDOWN_DELAY_SECONDS:-0}
stamp=$(mktemp)
server=

stop_server() {
    [ -n "$server" ] || return 0
    kill "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
    server=
}
trap 'stop_server; rm -f "$stamp"' EXIT
trap 'exit 130' INT TERM

changed() {
    [ -n "$(find Cargo.toml Cargo.lock domain engine app frontend server style public tools/site/src \
        -type f -newer "$stamp" -print -quit)" ]
}

while true; do
    # Touched before the build, so that a change made during it is not lost.
    touch "$stamp"
    if scripts/site.sh --dev && cargo build --locked -p keyfold; then
        stop_server
        "$(target_dir)/debug/keyfold" serve "$@" &
        server=$!
    else
        say "the build failed; waiting for a change"
    fi
    until changed; do sleep 1; done
    say "a file changed; building"
done
