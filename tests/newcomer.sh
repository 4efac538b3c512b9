#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# newcomer.sh BUILD: plays someone who has an installed foil and nothing else: installs from BUILD into a temporary prefix, moves it, writes a loss with
# `foil new`, and there builds, tests (conformance included), trains, ablates against InfoNCE and compares. Prints what each step took.
# Then builds the example in C++ against the same prefix. No path of the source tree is used once the installation is there.
set -euo pipefail
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
step "foil new loss" foil/bin/foil new loss my_loss my_loss
cd my_loss
step "build" make build
step "conformance and test" make test
grep -q 'conformance_my_loss .* Passed' "$work/log" || { echo "FAIL: the conformance test did not run"; cat "$work/log"; exit 1; }
step "train 50 steps" "$work/foil/bin/foil" train my_loss.toml
step "ablate against infonce" make ablate
step "compare" "$work/foil/bin/foil" compare runs/my_loss_ablation --format markdown
table=$(tr -d "\\" < "$work/log")  # markdown escapes the underscore
for variant in infonce my_loss; do
  grep -q "^| *$variant *|" <<< "$table" || { echo "FAIL: no row for $variant in the table"; echo "$table"; exit 1; }
done
cd "$work/example"
step "example in C++, built" bash -c 'cmake -S . -B build -DCMAKE_BUILD_TYPE=Release -DCMAKE_PREFIX_PATH="$0/foil" && cmake --build build' "$work"
step "example in C++, run" build/differentiate
grep -qE '^infonce [0-9.]+, its gradient has norm [0-9.]+$' "$work/log" || { echo "FAIL: the example printed"; cat "$work/log"; exit 1; }
printf '%-28s %6.1f s\n%s\n' "all" "$(echo "$(date +%s.%N) - $begin" | bc)" "$table"
