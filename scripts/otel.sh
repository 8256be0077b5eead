#!/usr/bin/env bash
# Builds the server with its feature `otel` and tries it with a collector of OpenTelemetry in the test's own process.
# The same packages as for the other tests are named, so that of all that is there already the server alone is compiled again.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"

use_toolchain
target=$(target_dir)
# All libraries, because what a macro crate is compiled with depends on what else is.
built() { cargo build --quiet --locked --lib --bin keyfold --test traces "$@" "${host_packages[@]}"; }
# The program without the feature has the same name, and others use it after this.
trap built EXIT
built --features keyfold/otel
cp "$target/debug/keyfold" "$target/debug/keyfold-with-otel"
# All tests are named, as they are compiled already. Those of `program` wait for this one and are ignored elsewhere.
KEYFOLD_WITH_OTEL=$target/debug/keyfold-with-otel \
    cargo test --quiet --locked --lib --bins --tests "${host_packages[@]}" -- --ignored program::
