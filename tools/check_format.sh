#!/bin/bash
# Is the C code formatted as .clang-format says?   check_format.sh [ROOT]
# Exits 1 with the places, 77 (skipped, as meson has it) without clang-format.
set -eu
cd "${1:-$(dirname "$0")/..}"
tool=$(command -v clang-format-14 || command -v clang-format) || exit 77
find src tests -name '*.[ch]' -print0 | sort -z | xargs -0 -r "$tool" --dry-run -Werror
