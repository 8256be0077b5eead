#!/usr/bin/env bash
# Builds the binary in another language: a copy of the sources in target/language/, with the texts of app/strings/ put in.
#   scripts/language.sh de        with app/strings/de.json
#   scripts/language.sh pseudo    with a made-up language, longer by two fifths, to see what does not fit
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"

language=${1:-}
[[ $language =~ ^[a-z]+(-[A-Za-z]+)?$ ]] || fail "usage: scripts/language.sh LANGUAGE, one of app/strings/ or pseudo"
use_toolchain
copy=$root/target/language/$language
rm -rf "$copy"
mkdir -p "$copy"
git ls-files -z | xargs -0 cp --parents -t "$copy"
cargo run --quiet --locked -p site -- translate "$language" "$copy" >&2
CARGO_TARGET_DIR=$copy/target "$copy/scripts/build.sh"
