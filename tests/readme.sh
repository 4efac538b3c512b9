#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# readme.sh BUILD PYTHON: every foil command of README.md runs (shortened by --set), its make targets exist, and its table is the recorded one.
set -u
root=$(cd "$(dirname "$0")/.." && pwd)
build=$(cd "$1" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/experiments"
cp -r "$root"/experiments/*.toml "$root"/experiments/ablations "$work/experiments"
ln -s "$build" "$work/build"
cd "$work" || exit 1
short="--set run.steps=2 --set run.threads=1 --set data.subset=600 --set evaluate.linear=false --set evaluate.geometry=false --quiet"
failed=0
count=0
while read -r line; do
  command=${line%%#*}
  case $command in
    *"foil train"*|*"foil ablate"*|*"foil config"*) command="$command $short" ;;
  esac
  command=${command/#torchrun/$2 -m torch.distributed.run}
  count=$((count + 1))
  if ! out=$(timeout 1800 bash -c "$command" 2>&1); then
    printf 'FAIL: %s\n%s\n' "$command" "$out"
    failed=1
  fi
done < <(sed -n '/^```sh/,/^```$/p' "$root/README.md" | grep -E '^(build/foil|torchrun) ')
[ "$count" -ge 10 ] || { echo "only $count commands were found in README.md"; failed=1; }
for target in $(grep -ohE '(^|`)make [a-z-]+' "$root"/README.md "$root"/*/README.md | awk '{print $2}' | sort -u) setup build quickstart test bench install gpu-bundle format; do
  make -C "$root" -n "$target" > /dev/null 2>&1 || { echo "make $target does not exist"; failed=1; }
done
diff <(sed -n '/<!-- quickstart table -->/,/<!-- end -->/p' "$root/README.md" | grep '^|') <(grep '^|' "$root/experiments/results/quickstart.md") ||
  { echo "the table in README.md is not the one in experiments/results/quickstart.md"; failed=1; }
exit $failed
