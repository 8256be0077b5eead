#!/usr/bin/env bash
# Everything that can be said about the code without running it, one line a check. Stops at the first that fails.
# The list of packages, and how a check is reported, are in lib.sh: test.sh uses them too.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"

stage "toolchain" scripts/toolchain.sh
# shellcheck source=/dev/null
. target/toolchain.env
stage "format" cargo fmt --all --check
stage "licences, sources, advisories" scripts/deny.sh
stage "site" scripts/site.sh
stage "weight of the site" cargo run --quiet --locked -p site -- budget
stage "lints, server" cargo clippy --locked "${host_packages[@]}" -p site --all-targets -- -D warnings
stage "lints, browser" cargo clippy --locked -p frontend -p keyfold-app --target wasm32-unknown-unknown -- -D warnings
stage "documentation" env RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --document-private-items "${host_packages[@]}"
stage "tests of docs/traps.md" scripts/traps.sh
stage "generated files" scripts/generate.sh --check
