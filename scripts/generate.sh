#!/usr/bin/env bash
# Writes the files that are generated from the code and committed.
#   scripts/generate.sh           write them
#   scripts/generate.sh --check   fail, with the difference, if one is out of date
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"

mode=${1:-}
case "$mode" in
    "" | --check) ;;
    *) fail "usage: scripts/generate.sh [--check]" ;;
esac

use_toolchain
# With the tests, because that is how the test stage wants everything compiled; otherwise it would be compiled twice.
cargo build --quiet --locked --lib --bins --tests "${host_packages[@]}"
keyfold=$(target_dir)/debug/keyfold
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# generated FILE ARGUMENT...: FILE is what `keyfold ARGUMENT...` prints.
generated() {
    local file=$1 fresh
    shift
    fresh=$folder/$(basename "$file")
    "$keyfold" "$@" >"$fresh"
    if [ "$mode" = --check ]; then
        diff -u "$file" "$fresh" >&2 || fail "$file is out of date: run 'make generate' and commit it"
    elif ! cmp -s "$file" "$fresh"; then
        cp "$fresh" "$file"
        say "wrote $file"
    fi
}

generated docs/openapi.json openapi
generated docs/config.md check-config --reference
# The catalogue of what people read, from the sources.
cargo run --quiet --locked -p site -- strings ${mode:+"$mode"} >&2
