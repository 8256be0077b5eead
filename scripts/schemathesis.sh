#!/usr/bin/env bash
# Asks a running server whatever its OpenAPI document allows and much that it does not, as each role, with Schemathesis:
# no fault of ours, no answer that the document does not describe, no operation that forgets to ask who is there.
#   scripts/schemathesis.sh [ARGUMENTS of scripts/schemathesis/run.py]
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"

need_keyfold
environment=$(python_env schemathesis "$root/scripts/schemathesis/requirements.txt") || exit 1
"$environment/bin/python" scripts/schemathesis/run.py --binary "$KEYFOLD_BIN" "$@"
