#!/usr/bin/env bash
# Fails if the repository holds a snapshot that no test compared with: scripts/snapshots.sh REFERENCES
# REFERENCES is the file that insta wrote during a whole run of the tests (INSTA_SNAPSHOT_REFERENCES_FILE).
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"

references=${1:?usage: scripts/snapshots.sh REFERENCES}
folders=(domain engine app server tools)
pending=$(find "${folders[@]}" -name '*.snap.new' -o -name '*.pending-snap')
[ -z "$pending" ] || fail "snapshots wait for a decision; keep or delete them:"$'\n'"$pending"

real() { while IFS= read -r file; do realpath -m --relative-to="$root" "$file"; done | sort -u; }
leftover=$(comm -23 <(find "${folders[@]}" -name '*.snap' | real) <(real <"$references"))
[ -z "$leftover" ] || fail "no test compares with these snapshots; delete them:"$'\n'"$leftover"
