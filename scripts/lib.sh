# Shared by the scripts in this folder; sourced, never run. Says what goes on, and installs system packages.
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# What is dear to make and worth keeping between checkouts lives here. Deleting it costs time, nothing else.
# shellcheck disable=SC2034
cache=${XDG_CACHE_HOME:-$HOME/.cache}/keyfold

say() { printf '%s\n' "$*" >&2; }

fail() {
    say "error: $*"
    exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif have sudo; then
        sudo "$@"
    else
        fail "this needs the administrator's rights and there is no sudo. Run as root: $*"
    fi
}

# apt_install PACKAGE...: installs what is missing of these Debian packages.
apt_install() {
    local missing=() package
    for package in "$@"; do
        if [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" != installed ]; then
            missing+=("$package")
        fi
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    say "installing Debian packages: ${missing[*]}"
    as_root apt-get update -qq >&2
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2
}

# need COMMAND PACKAGE...: makes sure COMMAND exists, from these Debian packages if it does not.
need() {
    local command=$1
    shift
    have "$command" && return 0
    have apt-get || fail "$command is missing. Install it with your system's package manager and run this again."
    apt_install "$@"
    have "$command" || fail "$command is still missing after installing $*."
}

# Runs toolchain.sh and takes over the environment it decided on.
use_toolchain() {
    "$root/scripts/toolchain.sh" || exit 1
    # shellcheck source=/dev/null
    . "$root/target/toolchain.env"
}

# Site and server are always built into the repository's own target folder, or into CARGO_TARGET_DIR if that is set.
target_dir() { printf '%s\n' "${CARGO_TARGET_DIR:-$root/target}"; }

# Sets KEYFOLD_BIN to the program under test: the one that it names already, or else the one that is shipped, built anew.
need_keyfold() {
    if [ -z "${KEYFOLD_BIN:-}" ]; then
        "$root/scripts/build.sh" || exit 1
        KEYFOLD_BIN=$(target_dir)/release/keyfold
    fi
    export KEYFOLD_BIN
}

# npm_ci FOLDER: installs exactly what its lock file names, unless that is there already.
npm_ci() {
    local folder=$root/$1
    if [ ! "$folder/node_modules/.package-lock.json" -nt "$folder/package-lock.json" ]; then
        need npm nodejs npm
        (cd "$folder" && npm ci --no-audit --no-fund --loglevel=error >&2)
    fi
}

# cargo_tool NAME VERSION: makes sure of this version of a tool from crates.io, and prints where the program is. It is compiled
# once and kept in the cache:
#   deny=$(cargo_tool cargo-deny 0.20.2) || exit 1; "$deny" check
cargo_tool() {
    local name=$1 version=$2 tools=$cache/tools
    if [ "$("$tools/bin/$name" --version 2>/dev/null || true)" != "$name $version" ]; then
        say "installing $name $version (once, a few minutes)"
        # Unoptimised: such a tool runs for seconds, and is compiled in half the time.
        CARGO_TARGET_DIR=$cache/tools-target cargo install --quiet --debug --config profile.dev.debug=false \
            --locked "$name@$version" --root "$tools" >&2 || fail "$name $version could not be installed."
        rm -rf "$cache/tools-target"
    fi
    printf '%s\n' "$tools/bin/$name"
}

# python_env NAME REQUIREMENTS_FILE: makes a virtual environment with what the file names, and prints its folder. It is made
# once for each content of the file and version of Python, and kept in the cache:
#   env=$(python_env clients "$root/end2end/requirements.txt") || exit 1; "$env/bin/python" …
python_env() {
    local name=$1 requirements=$2 hash folder
    [ -f "$requirements" ] || fail "there is no $requirements"
    need python3 python3 python3-venv
    # Debian's python3 comes without what makes virtual environments.
    python3 -c 'import ensurepip, venv' 2>/dev/null || apt_install python3-venv
    hash=$({ cat "$requirements" && python3 -c 'import sys; print(sys.version, sys.prefix)'; } | sha256sum | cut -c1-16)
    folder=$cache/python/$name-$hash
    mkdir -p "$cache/python"
    # A stage of another checkout may want the same one at the same time. The file `complete` is written last.
    (
        flock 9
        [ -f "$folder/complete" ] && exit 0
        say "making a Python environment for $name (once)"
        rm -rf "$folder"
        python3 -m venv "$folder" &&
            "$folder/bin/python" -m pip install --quiet --no-input --disable-pip-version-check \
                --requirement "$requirements" &&
            "$folder/bin/python" -m pip check --disable-pip-version-check &&
            touch "$folder/complete"
    ) 9>"$folder.lock" >&2 || fail "the Python environment for $name could not be made."
    printf '%s\n' "$folder"
}

# The packages that run on this machine, as against in the browser. Always named together: a different selection would
# compile their common dependencies again with other features.
# shellcheck disable=SC2034
host_packages=(-p keyfold-domain -p keyfold-engine-macros -p keyfold-engine -p keyfold-app -p keyfold -p keyfold-otel -p bench -p keyfold-fuzz)

# Things that a person should know although nothing failed; printed below a stage's line.
note() { printf 'note: %s\n' "$*"; }

# stage_to LOG TITLE COMMAND...: runs a command with its output in LOG, and prints one line: title, outcome, seconds.
stage_to() {
    local log=$1 title=$2 start=$SECONDS
    shift 2
    printf '%-34s' "$title"
    if "$@" >"$log" 2>&1; then
        printf ' ok %5d s\n' $((SECONDS - start))
        grep '^note: ' "$log" | sed 's/^/    /' || true
    else
        printf ' FAILED after %d s\n' $((SECONDS - start))
        cat "$log"
        printf '\n%s FAILED\n' "$title"
        return 1
    fi
}

# stage TITLE COMMAND...: the same with a log that nobody keeps; ends the script on failure.
stage() {
    local log status=0
    log=$(mktemp)
    stage_to "$log" "$@" || status=$?
    rm -f "$log"
    [ "$status" -eq 0 ] || exit "$status"
}
