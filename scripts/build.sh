#!/usr/bin/env bash
# Builds the one binary that is shipped: the server with the site inside. The first time it installs what is missing.
# Arguments go to cargo: scripts/build.sh --features otel
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"

use_toolchain
scripts/site.sh >&2
cargo build --release --locked -p keyfold "$@"
say "built $(target_dir)/release/keyfold"
