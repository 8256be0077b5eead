#!/usr/bin/env bash
# Runs a command with the proxies whose configurations `keyfold proxy-config` prints: scripts/proxies.sh COMMAND...
#
# nginx, Caddy and HAProxy as Debian ships them, and systemd-analyze, which judges the units of docs/. Only their programs are wanted: the tests start them with folders and
# ports of their own, as the user who runs the tests. The command finds them in TEST_PROXIES, as NAME=PROGRAM with blanks
# between; where that is set already, the command is run as it is.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

[ $# -gt 0 ] || fail "usage: scripts/proxies.sh COMMAND..."
[ -z "${TEST_PROXIES:-}" ] || exec "$@"

names=(nginx caddy haproxy systemd-analyze)

# Debian keeps some of them off a plain user's PATH.
program_of() { PATH=$PATH:/usr/sbin:/usr/local/sbin command -v "$1"; }

# A Debian package starts the service it brings, and nobody asked for a web server on port 80 of this machine.
install_unstarted() {
    local policy=/usr/sbin/policy-rc.d status=0
    if [ -e "$policy" ]; then
        apt_install "$@"
        return
    fi
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod 755 "$policy"
    (apt_install "$@") || status=$?
    as_root rm -f "$policy"
    return "$status"
}

# Packages are called as the programs, but one.
missing=()
for name in "${names[@]}"; do
    program_of "$name" >/dev/null || missing+=("${name%-analyze}")
done
if [ ${#missing[@]} -gt 0 ]; then
    have apt-get || fail "${missing[*]} missing. Install them, or set TEST_PROXIES to where they are."
    # Several checkouts may test at once, and apt can do one thing at a time.
    mkdir -p "$cache"
    (
        flock 9
        install_unstarted "${missing[@]}"
    ) 9>"$cache/proxies.lock"
fi
TEST_PROXIES=
for name in "${names[@]}"; do
    program=$(program_of "$name") || fail "$name is still missing after installing it."
    TEST_PROXIES+="$name=$program "
done
export TEST_PROXIES=${TEST_PROXIES% }
exec "$@"
