#!/usr/bin/env bash
# Runs a command with a throw-away PostgreSQL: scripts/postgres.sh [--durable] COMMAND...
#
# The cluster lives in a temporary folder, listens on a free port of 127.0.0.1, forgets everything on a crash (which
# makes it fast; with --durable it does not, for measuring) and is gone when the command ends, however it ends. The
# command finds it in TEST_POSTGRES_URL. If that variable is set already, the command is run as it is, against that server.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

forgetful=(-c fsync=off -c full_page_writes=off)
if [ "${1:-}" = --durable ]; then
    forgetful=()
    shift
fi
[ $# -gt 0 ] || fail "usage: scripts/postgres.sh [--durable] COMMAND..."
[ -z "${TEST_POSTGRES_URL:-}" ] || exec "$@"

# Debian keeps the server's programs off the PATH, one folder for each version.
find_programs() {
    local folder
    for folder in $(compgen -G '/usr/lib/postgresql/*/bin' | sort -rV) "$(pg_config --bindir 2>/dev/null || true)"; do
        if [ -x "$folder/initdb" ] && [ -x "$folder/pg_ctl" ]; then
            printf '%s\n' "$folder"
            return 0
        fi
    done
    return 1
}
if ! programs=$(find_programs); then
    have apt-get || fail "PostgreSQL is missing. Install it, or set TEST_POSTGRES_URL to a server that may be filled with rubbish."
    apt_install postgresql
    programs=$(find_programs) || fail "PostgreSQL's initdb is still missing after installing it."
fi

# PostgreSQL refuses to run as root.
as_owner=()
owner=$(id -un)
if [ "$(id -u)" -eq 0 ]; then
    owner=nobody
    id postgres >/dev/null 2>&1 && owner=postgres
    as_owner=(setpriv --reuid="$owner" --regid="$(id -gn "$owner")" --clear-groups --)
fi

folder=$(mktemp -d)
# shellcheck disable=SC2317 # called by the trap
stop() {
    if [ -d "$folder/data" ]; then
        (cd / && ${as_owner[@]+"${as_owner[@]}"} "$programs/pg_ctl" stop -D "$folder/data" -m immediate >/dev/null 2>&1) || true
    fi
    rm -rf "$folder"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Other users of this machine can reach the port, so it has a password.
password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
printf '%s\n' "$password" >"$folder/password"
chown -R "$owner" "$folder"

# PostgreSQL wants to know where it is, and root's folders may be closed to its user.
cd /
${as_owner[@]+"${as_owner[@]}"} "$programs/initdb" -D "$folder/data" --username=keyfold --pwfile="$folder/password" \
    --auth=password --encoding=UTF8 --locale=C --no-sync >"$folder/initdb.log" 2>&1 ||
    fail "initdb failed: $(cat "$folder/initdb.log")"

started=
for _ in 1 2 3 4 5; do
    # Below the range from which the system gives out ports of its own accord.
    port=$((20000 + RANDOM % 12000))
    if ${as_owner[@]+"${as_owner[@]}"} "$programs/pg_ctl" start -w -t 60 -D "$folder/data" -l "$folder/log" -o "\
        -c listen_addresses=127.0.0.1 -c port=$port -c unix_socket_directories=$folder -c max_connections=300 \
        ${forgetful[*]-}" >/dev/null 2>&1; then
        started=yes
        break
    fi
done
[ -n "$started" ] || fail "PostgreSQL did not start: $(tail -5 "$folder/log")"

cd "$OLDPWD"
# For tests that kill a server of their own.
export TEST_POSTGRES_PROGRAMS="$programs"
TEST_POSTGRES_OWNER="$owner:$(id -gn "$owner")"
export TEST_POSTGRES_OWNER
export TEST_POSTGRES_URL="postgres://keyfold:$password@127.0.0.1:$port/postgres"
# Not exec: the trap has to run afterwards. In the background, so that a signal is acted on at once.
"$@" &
command=$!
trap 'kill -INT $command 2>/dev/null; wait $command; exit 130' INT
trap 'kill $command 2>/dev/null; wait $command; exit 143' TERM
status=0
wait "$command" || status=$?
exit "$status"
