#!/usr/bin/env bash
# Fails if docs/traps.md has a line without a test, or names one that does not exist.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"

table=docs/traps.md
wrong=()
lines=0
named=0
while IFS= read -r line; do
    case "$line" in "|---"* | "| Trap | "* | "| What comes in | "* | "| Case | "*) continue ;; esac
    lines=$((lines + 1))
    tests=$(grep -o '`[a-zA-Z0-9_/]*\.[a-z.]*: [^`]*`' <<<"$line" | tr -d '`') || { wrong+=("no test: $line"); continue; }
    while IFS= read -r test; do
        named=$((named + 1))
        file=${test%%: *}
        name=${test#*: }
        case "$file" in
            *.rs) wanted=("fn $name(") ;;
            *) wanted=("test('$name'" "test(\`$name\`") ;;
        esac
        found=no
        for text in "${wanted[@]}"; do
            [ ! -f "$file" ] || ! grep -qF "$text" "$file" || found=yes
        done
        [ "$found" = yes ] || wrong+=("$file has no test '$name'")
    done <<<"$tests"
done < <(grep '^|' "$table")

[ "$lines" -gt 20 ] || fail "$table has hardly any line: it was read wrongly"
[ ${#wrong[@]} -eq 0 ] || fail "$table is out of date:"$'\n'"$(printf '%s\n' "${wrong[@]}")"
say "$lines traps, $named tests"
