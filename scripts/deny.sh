#!/usr/bin/env bash
# Looks over the dependencies with cargo-deny: licences, sources, banned crates, known vulnerabilities (deny.toml).
# The list of vulnerabilities comes from the network. Where it cannot be had this says so and checks the rest.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"

version=0.20.2
use_toolchain
tools=$cache/tools
if [ "$("$tools/bin/cargo-deny" --version 2>/dev/null || true)" != "cargo-deny $version" ]; then
    say "installing cargo-deny $version (once, a few minutes)"
    # Unoptimised: it runs for a second, and is compiled in half the time.
    CARGO_TARGET_DIR=$cache/tools-target cargo install --quiet --debug --config profile.dev.debug=false \
        --locked "cargo-deny@$version" --root "$tools"
    rm -rf "$cache/tools-target"
fi

list=https://github.com/RustSec/advisory-db
checks=(bans licenses sources)
if timeout 20 git ls-remote --quiet --exit-code "$list" HEAD >/dev/null 2>&1; then
    checks+=(advisories)
else
    note "vulnerabilities not checked: $list cannot be reached"
fi
"$tools/bin/cargo-deny" --log-level warn check --hide-inclusion-graph "${checks[@]}"
