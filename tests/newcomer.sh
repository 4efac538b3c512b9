#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# newcomer.sh BUILD [KIND...]: plays someone who has an installed foil and nothing else: installs from BUILD into a temporary prefix, moves it, writes
# a data set, a sampler and a loss, or these kinds, with `foil new`, and for each builds, tests (conformance included), trains, ablates and compares.
# Prints what each step took.
# Then builds the example in C++ against the same prefix. No path of the source tree is used once the installation is there.
set -euo pipefail
[ $# -gt 1 ] || set -- "$1" dataset sampler loss
build=$(cd "$1" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
begin=$(date +%s.%N)
step() {  # step NAME COMMAND...
  local start end
  start=$(date +%s.%N)
  "${@:2}" > "$work/log" 2>&1 || { printf 'FAIL: %s\n' "$1"; cat "$work/log"; exit 1; }
  end=$(date +%s.%N)
  printf '%-28s %6.1f s\n' "$1" "$(echo "$end - $start" | bc)"
}
unset FOIL_PLUGIN_PATH FOIL_LIBTORCH MAKEFLAGS
step "install" cmake --install "$build" --prefix "$work/first"
mv "$work/first" "$work/foil"  # the prefix may move
if grep -rlI "$work/first\|$(cd "$(dirname "$0")/.." && pwd)" "$work/foil" > "$work/found"; then
  echo "FAIL: these files name the source tree or the first prefix:"; cat "$work/found"; exit 1
fi
cp -r "$(dirname "$0")/../examples" "$work/example"
cd "$work"
foil/bin/foil doctor > doctor.txt || { cat doctor.txt; exit 1; }
newcomer() {  # newcomer KIND VARIANT...: those that its ablation compares; the last table is left in $table
  local name=my_$1 variant
  cd "$work"
  step "foil new $1" foil/bin/foil new "$1" "$name" "$name"
  cd "$name"
  step "$1: build" make build
  step "$1: conformance and test" make test
  grep -q "conformance_$name .* Passed" "$work/log" || { echo "FAIL: the conformance test of $name did not run"; cat "$work/log"; exit 1; }
  step "$1: train 50 steps" "$work/foil/bin/foil" train "$name.toml"
  step "$1: ablate" make ablate
  step "$1: compare" "$work/foil/bin/foil" compare "runs/${name}_ablation" --format markdown
  table=$(tr -d '\\' < "$work/log")  # markdown escapes the underscore
  for variant in "${@:2}"; do
    grep -q "^| *$variant *|" <<< "$table" || { echo "FAIL: no row for $variant in the table"; echo "$table"; exit 1; }
  done
}
for kind in "${@:2}"; do
  case $kind in
    dataset) newcomer dataset temperature=0.1 temperature=0.5 ;;
    sampler) newcomer sampler uniform my_sampler ;;
    loss) newcomer loss infonce my_loss ;;
    *) echo "FAIL: $kind is none of dataset, sampler, loss"; exit 1 ;;
  esac
done
cd "$work/example"
step "example in C++, built" bash -c 'cmake -S . -B build -DCMAKE_BUILD_TYPE=Release -DCMAKE_PREFIX_PATH="$0/foil" && cmake --build build' "$work"
step "example in C++, run" build/differentiate
grep -qE '^infonce [0-9.]+, its gradient has norm [0-9.]+$' "$work/log" || { echo "FAIL: the example printed"; cat "$work/log"; exit 1; }
printf '%-28s %6.1f s\n%s\n' "all" "$(echo "$(date +%s.%N) - $begin" | bc)" "$table"
