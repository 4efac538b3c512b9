#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The sources are formatted as .clang-format says (`make format` does it), and no comment is wider than its 110
# columns: a formula is left as it is, also where it is too wide.
cd "$(dirname "$0")/.." || exit 1
files=$(find core plugins losses augment encoders examples tests cmake \( -name '*.cpp' -o -name '*.h' -o -name '*.cu' \))
clang-format-14 --dry-run -Werror $files || exit 1
wide=$(LC_ALL=C.UTF-8 grep -nHE '^.{111}' $files | grep -E '^[^:]+:[0-9]+: *//')
[ -z "$wide" ] || { printf 'wider than 110 columns:\n%s\n' "$wide"; exit 1; }
