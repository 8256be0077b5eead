#!/usr/bin/env bash
# Looks over the dependencies with cargo-deny: licences, sources, banned crates, known vulnerabilities (deny.toml).
# The list of vulnerabilities comes from the network. Where it cannot be had this says so and checks the rest.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"

use_toolchain
cargo_deny=$(cargo_tool cargo-deny 0.20.2) || exit 1

list=https://github.com/RustSec/advisory-db
checks=(bans licenses sources)
if timeout 20 git ls-remote --quiet --exit-code "$list" HEAD >/dev/null 2>&1; then
    checks+=(advisories)
else
    note "vulnerabilities not checked: $list cannot be reached"
fi
"$cargo_deny" --log-level warn check --hide-inclusion-graph "${checks[@]}"
