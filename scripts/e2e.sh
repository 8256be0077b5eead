#!/usr/bin/env bash
# Runs the tests in end2end/ against the binary as it is shipped, in Debian's Chromium.
#   scripts/e2e.sh [SCRIPT]   SCRIPT is one of end2end/package.json, "test" if it is not given
#
# The tests find the binary in KEYFOLD_BIN and the browser in CHROMIUM. No test tool downloads a browser of its own.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"

scripts/build.sh
need node nodejs npm
npm_ci end2end
if [ -z "${CHROMIUM:-}" ]; then
    need chromium chromium fonts-dejavu-core
    CHROMIUM=$(command -v chromium)
fi
export CHROMIUM
KEYFOLD_BIN=$(target_dir)/release/keyfold
export KEYFOLD_BIN
export PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1
cd end2end
npm run --silent "${1:-test}"
