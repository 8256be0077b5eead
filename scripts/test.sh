#!/usr/bin/env bash
# Everything: the checks of check.sh, then every test. One line a stage, with the seconds it took; the first stage that
# fails ends the run with what it printed. The last line counts the tests that really ran.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"

logs=$root/target/test-logs
mkdir -p "$logs"
passed=0
failed=0

# count LOG: adds up what the test runners of this project print at the end: nextest, cargo test, node's runner, Playwright,
# and end2end/clients/run.py, which says it as Playwright does.
count() {
    local log=$1 found
    found=$(sed -E 's/\x1b\[[0-9;]*m//g' "$log" | awk '
        /^ *Summary \[/ { for (i = 2; i <= NF; i++) { if ($i ~ /^passed/) p += $(i - 1); if ($i ~ /^(failed|timed)/) f += $(i - 1) } }
        /^test result:/ { for (i = 2; i <= NF; i++) { if ($i ~ /^passed/) p += $(i - 1); if ($i ~ /^failed/) f += $(i - 1) } }
        /^(#|ℹ) pass [0-9]+$/ { p += $3 }
        /^(#|ℹ) fail [0-9]+$/ { f += $3 }
        /^ *[0-9]+ passed( \(.*\))?$/ { p += $1 }
        /^ *[0-9]+ flaky$/ { p += $1 }
        /^ *[0-9]+ failed$/ { f += $1 }
        END { print p + 0, f + 0 }')
    read -r found_passed found_failed <<<"$found"
    passed=$((passed + found_passed))
    failed=$((failed + found_failed))
}

# tests TITLE COMMAND...: a stage whose tests are counted. `count` leaves the figures of the last stage behind.
tests() {
    local title=$1 log
    shift
    log=$logs/$(printf '%s' "$title" | tr -c 'a-zA-Z0-9\n' -).log
    if ! stage_to "$log" "$title" "$@"; then
        count "$log"
        printf '%d passed, %d failed\n' "$passed" "$failed"
        exit 1
    fi
    sed -E 's/\x1b\[[0-9;]*m//g' "$log" | grep -E '^ *FLAKY ' | sort -u | sed -E 's/^ *FLAKY/    passed at the second try only:/' || true
    count "$log"
}

some_ran() { [ $((found_passed + found_failed)) -gt 0 ] || fail "no test ran, although it said that all is well"; }

# nextest where it is installed; it is too dear to compile for this, and cargo's own runner runs the same tests.
run_tests() {
    if cargo nextest --version >/dev/null 2>&1; then
        cargo nextest run --locked --no-tests=fail "$@"
    else
        cargo test --locked --no-fail-fast --tests --lib --bins "$@"
    fi
}
export -f run_tests

scripts/check.sh
# shellcheck source=/dev/null
. target/toolchain.env

# A test names each snapshot that it compares with. One that nobody names is a leftover.
export INSTA_UPDATE=no INSTA_FORCE_PASS=0 INSTA_WORKSPACE_ROOT=$root
# The same cases in every run; `make soak` takes others, and many more.
export PROPTEST_RNG_SEED=20261121
export INSTA_SNAPSHOT_REFERENCES_FILE=$logs/snapshots
: >"$INSTA_SNAPSHOT_REFERENCES_FILE"

tests "tests, site tool" run_tests -p site
some_ran
tests "tests, SQLite, PostgreSQL, proxies" scripts/proxies.sh scripts/postgres.sh bash -c 'run_tests "$@"' -- "${host_packages[@]}"
some_ran
tests "traces, in a server built for them" scripts/otel.sh
some_ran
stage "snapshots" scripts/snapshots.sh "$INSTA_SNAPSHOT_REFERENCES_FILE"
tests "tests, examples in documentation" cargo test --locked --doc "${host_packages[@]}"
# The tests before have built the program, with the site as it is shipped in it. Optimising it takes ten minutes more, and
# a slower server finds no fewer faults.
export KEYFOLD_BIN
KEYFOLD_BIN=$(target_dir)/debug/keyfold
tests "instructions of a verification" scripts/instructions.sh
some_ran
tests "tests, real clients" scripts/clients.sh
some_ran
tests "tests, end to end" scripts/e2e.sh
some_ran
tests "cookbook" scripts/cookbook.sh
some_ran
tests "API under attack, every role" scripts/schemathesis.sh
some_ran

printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
