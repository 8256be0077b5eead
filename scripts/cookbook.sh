#!/usr/bin/env bash
# Runs every block of docs/cookbook.md against a server started for it, and compares what it prints with the page.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"

need_keyfold
need curl curl
need jq jq
need python3 python3
python3 scripts/cookbook.py "$KEYFOLD_BIN"
