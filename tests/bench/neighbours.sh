#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# What a run keeps of its fair share beside busy neighbours, and what giving way costs on an idle machine.
#   neighbours.sh BUILD
# With T threads on as many cores and k neighbours that never rest, the fair share is T / (T + k) of the idle speed. Each round measures,
# in alternation: threads that spin as OpenMP has them by default and as the program has them, alone; then the latter beside 1, 2 and 4.
# ROUNDS (3), STEPS (40) of small_cnn, SPINS (the program's) and NEIGHBOURS ("1 2 4", "" for none) can be set. All in one session, so that no scheduler groups them.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
build=$(cd "${1:?usage: neighbours.sh BUILD}" && pwd)
rounds=${ROUNDS:-3} steps=${STEPS:-40}
neighbours=${NEIGHBOURS-1 2 4}
spins=${SPINS:-$(sed -n 's/.*FOIL_SPIN_COUNT="\([0-9]*\)".*/\1/p' "$root/core/program/CMakeLists.txt")}
threads=$(nproc)
export OMP_NUM_THREADS=$threads
work=$(mktemp -d)
busy=()
rest() { for pid in "${busy[@]}"; do kill "$pid" 2> /dev/null; wait "$pid" 2> /dev/null || true; done; busy=(); }
trap 'rest; rm -rf "$work"' EXIT

measure() {  # measure NAME NEIGHBOURS [SPINS]: images per second of whole steps, appended to $work/NAME
  for ((i = 0; i < $2; ++i)); do (while :; do :; done) & busy+=($!); done
  if [ -n "${3:-}" ]; then export GOMP_SPINCOUNT=$3; else unset GOMP_SPINCOUNT; fi
  "$build/bench/throughput" "$root/tests/bench/small_cnn.toml" --steps "$steps" --pairs 1 --plain > "$work/out"
  awk '$1 == "training" {print $2}' "$work/out" >> "$work/$1"
  rest
}
median() { sort -n "$work/$1" | awk '{v[NR] = $1} END {print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2}'; }

echo "load before: $(cut -d' ' -f1-3 /proc/loadavg)"
for ((round = 0; round < rounds; ++round)); do
  echo "round $((round + 1)) of $rounds" >&2
  pair=("default 0" "0 0 $spins")  # the first of a pair in turn
  for ((i = 0; i < 2; ++i)); do measure ${pair[(round + i) % 2]}; done
  for busy_ones in $neighbours; do measure "$busy_ones" "$busy_ones" "$spins"; done
done
alone=$(median 0)
paste "$work/0" "$work/default" | awk '{print $1 / $2}' > "$work/ratios"
awk -v a="$alone" -v d="$(median default)" -v r="$(median ratios)" \
  'BEGIN {printf "idle: %.0f images/s, %.3f of what the default of OpenMP gives (%.0f); median of the pairs: %.3f\n", a, a / d, d, r}'
for busy_ones in $neighbours; do
  awk -v k="$busy_ones" -v t="$threads" -v a="$alone" -v got="$(median "$busy_ones")" \
    'BEGIN {fair = a * t / (t + k); printf "%d busy: %.0f images/s, %.2f of the fair share of %.0f\n", k, got, got / fair, fair}'
done
