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
# Compiling the site works on one core for most of its time, so the lints, which have a folder of their own, go on beside it.
site_log=$(mktemp)
scripts/site.sh >"$site_log" 2>&1 &
site=$!
trap 'kill "$site" 2>/dev/null; rm -f "$site_log"' EXIT
site_is_built() { wait "$site" || { cat "$site_log"; return 1; }; }
stage "lints, server" cargo clippy --locked "${host_packages[@]}" -p site --all-targets -- -D warnings
# Beside what was looked at a moment ago this is the server alone, with its feature.
stage "lints, server with otel" cargo clippy --locked --features keyfold/otel --lib --bin keyfold --test traces "${host_packages[@]}" -- -D warnings
stage "site, the rest of it" site_is_built
trap - EXIT
rm -f "$site_log"
stage "weight of the site" cargo run --quiet --locked -p site -- budget
stage "lints, browser" cargo clippy --locked -p frontend -p keyfold-app --target wasm32-unknown-unknown -- -D warnings
stage "documentation" env RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --document-private-items "${host_packages[@]}"
stage "tests of docs/traps.md" scripts/traps.sh
stage "generated files" scripts/generate.sh --check
