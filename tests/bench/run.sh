#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Throughput of foil beside its Python peers, in alternation on two threads: foil, lightly, torch, foil, lightly, torch, ...; medians.
#   run.sh BUILD [--write]     --write: the table into experiments/results/throughput-cpu.md, with hardware, date and commit
# PAIRS (3), STEPS (60) of small_cnn, RESNET_STEPS (6), LIGHTLY_STEPS (6) can be set; LIGHTLY_WORKERS (0).
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
build=$(cd "${1:?usage: run.sh BUILD [--write]}" && pwd)
write=${2:-}
pairs=${PAIRS:-3} steps=${STEPS:-60} resnet_steps=${RESNET_STEPS:-6} lightly_steps=${LIGHTLY_STEPS:-6}
python=$(sed -n 's/^FOIL_PYTHON:[A-Z]*=//p' "$build/CMakeCache.txt")
export OMP_NUM_THREADS=2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

foil() {  # foil RECIPE STEPS [ARGUMENTS]: one measurement, its figures appended to $work/RECIPE.NAME
  local recipe=$1
  "$build/bench/throughput" "$root/tests/bench/$recipe.toml" --steps "$2" --pairs 1 --plain "${@:3}" > "$work/out"
  while read -r name value; do echo "$value" >> "$work/$recipe.$name"; done < "$work/out"
}
median() { sort -n "$work/$1" | awk '{v[NR] = $1} END {print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2}'; }
paired() {  # paired A B: the median of the ratios of each pair
  paste "$work/$1" "$work/$2" | awk '{print $1 / $2}' > "$work/ratio" && median ratio
}
row() { printf '| %-46s | %10s | %8s | %6s |\n' "$@"; }
number() { printf '%.0f' "$(median "$1")"; }
ratio() { printf '%.2f' "$1"; }
percent() { awk -v x="$1" 'BEGIN {printf "%.1f", 100 * x}'; }
share() { [ -e "$work/$1.share.$2" ] && median "$1.share.$2" || echo 0; }

load_before=$(cut -d' ' -f1-3 /proc/loadavg)
for ((i = 0; i < pairs; ++i)); do
  echo "pair $((i + 1)) of $pairs: small_cnn" >&2
  foil small_cnn "$steps"
  "$python" "$root/tests/peers/lightly_loop.py" "$lightly_steps" "${LIGHTLY_WORKERS:-0}" >> "$work/lightly"
  "$python" "$root/tests/peers/torch_loop.py" "$steps" small_cnn >> "$work/torch"
  echo "pair $((i + 1)) of $pairs: resnet18" >&2
  foil resnet18 "$resnet_steps"
  "$python" "$root/tests/peers/torch_loop.py" "$resnet_steps" resnet18 64 >> "$work/torch_resnet18"
done
"$build/bench/throughput" "$root/tests/bench/small_cnn.toml" --steps 10 --pairs 1 --ranks 2 --plain | grep communication | cut -d' ' -f2 > "$work/small_cnn.share.communication"

table() {
  row "" images/s ratio goal
  row "---" "---:" "---:" "---:"
  row "small_cnn 28x28x1, batch 256: foil, whole step" "$(number small_cnn.training)" "" ""
  row "... the same encoder and head alone" "$(number small_cnn.encoder)" "$(ratio "$(median small_cnn.ratio)")" ">=0.80"
  row "... a plain batched torch loop" "$(number torch)" "$(ratio "$(paired small_cnn.training torch)")" ">=1.0"
  row "... lightly (SimCLRTransform, NTXentLoss)" "$(number lightly)" "$(ratio "$(paired small_cnn.training lightly)")" ">=5"
  row "resnet18 32x32x3, batch 64: foil, whole step" "$(number resnet18.training)" "" ""
  row "... the same encoder and head alone" "$(number resnet18.encoder)" "$(ratio "$(median resnet18.ratio)")" ""
  row "... a plain batched torch loop" "$(number torch_resnet18)" "$(ratio "$(paired resnet18.training torch_resnet18)")" ">=1.0"
  echo
  echo "images/s counts samples, two views each, without the checkpoint of an epoch; ratio is foil's rate over the row's, the median over pairs run in alternation."
  echo
  echo "| share of a step, % | data | augment | encoder | loss | backward | update | record |"
  echo "|---|---:|---:|---:|---:|---:|---:|---:|"
  for recipe in small_cnn resnet18; do
    printf '| %s |' "$recipe"
    for part in data augment encoder loss backward update record; do printf ' %s |' "$(percent "$(share $recipe $part)")"; done
    echo
  done
  echo
  echo "Communication, small_cnn on 2 ranks of one process with one thread each: its collectives alone, not overlapped, take"
  echo "$(percent "$(share small_cnn communication)") % of a step. Data and augmentation of resnet18 together: $(percent "$(awk -v a="$(share resnet18 data)" -v b="$(share resnet18 augment)" 'BEGIN {print a + b}')") % (goal: at most 15 %)."
}
table | tee "$work/table"
printf '\n%s, 2 threads, load before %s, after %s, %s pairs, commit %s, %s\n' "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1)" "$load_before" "$(cut -d' ' -f1-3 /proc/loadavg)" \
  "$pairs" "$(git -C "$root" rev-parse --short HEAD 2>/dev/null || echo unknown)" "$(date -u +%F)" | tee "$work/where"
if [ "$write" = --write ]; then
  mkdir -p "$root/experiments/results"
  { printf '# Throughput on a CPU\nWritten by `make bench` (tests/bench/run.sh BUILD --write).\n\n'; cat "$work/table" "$work/where"; } > "$root/experiments/results/throughput-cpu.md"
  echo "written: experiments/results/throughput-cpu.md" >&2
fi
