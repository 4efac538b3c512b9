#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The ten slowest entries of the last ctest run, and the time of all. usage: slowest.sh [BUILD]
set -euo pipefail
log=${1:-build}/Testing/Temporary/LastTest.log
[ -e "$log" ] || { echo "slowest.sh: $log is not there; run ctest first" >&2; exit 1; }
# "12/40 Testing: name" ... "Test time =  1.23 sec"
awk '/^[0-9]+\/[0-9]+ Testing: / {name = $3}
     /^Test time = / {printf "%8.1f s  %s\n", $4, name}' "$log" | sort -rn > "$log.times"
echo "the slowest of $(wc -l < "$log.times") tests, $(awk '{s += $1} END {printf "%.0f", s}' "$log.times") s in all:"
sed -n 1,10p "$log.times"
rm -f "$log.times"
