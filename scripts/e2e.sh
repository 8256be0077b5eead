#!/usr/bin/env bash
# Runs the tests in end2end/ in Debian's Chromium, against the binary as it is shipped or the one that KEYFOLD_BIN names.
#   scripts/e2e.sh [SCRIPT]   SCRIPT is one of end2end/package.json, "test" if it is not given
#
# The tests find the browser in CHROMIUM. No test tool downloads a browser of its own.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"

need_keyfold
need node nodejs npm
npm_ci end2end
if [ -z "${CHROMIUM:-}" ]; then
    # Without the parts that nobody sees here: a third faster. It is what Playwright itself takes for headless tests.
    need chromium-headless-shell chromium-headless-shell fonts-dejavu-core
    CHROMIUM=$(command -v chromium-headless-shell)
fi
export CHROMIUM
export PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1
cd end2end
npm run --silent "${1:-test}"
