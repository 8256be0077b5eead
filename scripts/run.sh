#!/usr/bin/env bash
# Builds what has changed and starts the server. Arguments are passed on to `keyfold serve`.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"

scripts/build.sh
exec "$(target_dir)/release/keyfold" serve "$@"
