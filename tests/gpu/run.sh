#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Checks a build of foil on this machine: the CUDA tests, the conformance of every loss and of the kernel's template, the losses from Python,
# the golden vectors, a short training in fp32 and in bf16, the benchmarks; prints one summary and exits non-zero when anything failed. Needs
# the torch wheel that the build was made for (found by python3, or FOIL_LIBTORCH=DIR), a GPU, no network and nothing else.
# usage: run.sh [--cpu]     --cpu: without a GPU: the same on the CPU, shortened; the CUDA tests must then skip, each with a reason
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
device=cuda
case ${1:-} in --cpu) device=cpu ;; '') ;; *) echo "usage: run.sh [--cpu]" >&2; exit 2 ;; esac

wanted=$(cat "$here/torch_version")
torch=${FOIL_LIBTORCH:-}
if [ -z "$torch" ]; then
  torch=$(python3 -c 'import importlib.util as u; s = u.find_spec("torch"); print(s.submodule_search_locations[0] if s else "")' 2> /dev/null || true)
fi
if [ ! -e "$torch/lib/libtorch_cpu.so" ]; then
  echo "run.sh: LibTorch is not found. Install torch==$wanted for python3, or set FOIL_LIBTORCH to the folder of its wheel (with lib/)." >&2
  exit 1
fi
found=$(sed -n "s/^__version__ = '\([0-9.]*\).*/\1/p" "$torch/version.py" 2> /dev/null)
if [ -n "$found" ] && [ "$found" != "$wanted" ]; then
  echo "run.sh: this build is for torch $wanted, $torch is $found." >&2
  exit 1
fi
export LD_LIBRARY_PATH="$here:$here/lib:$torch/lib"
for folder in "$torch"/../nvidia/*/lib; do [ -d "$folder" ] && LD_LIBRARY_PATH+=:$folder; done
unset FOIL_PLUGIN_PATH

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
failed=0
summary=()
check() {  # check NAME COMMAND...: runs it, keeps its output in $work/out, notes PASS or FAIL
  local name=$1 begin=$SECONDS
  shift
  echo "== $name" >&2
  if "$@" > "$work/out" 2> "$work/err"; then
    summary+=("PASS  $name ($((SECONDS - begin)) s)")
    return 0
  fi
  summary+=("FAIL  $name ($((SECONDS - begin)) s)")
  tail -n 30 "$work/out" "$work/err" >&2
  failed=1
  return 1
}
cuda_test() {  # passes when something ran and passed; without a GPU, when everything skipped
  "$here/tests/$1" --gtest_brief=0 || return 1
}
experiment() {  # experiment PRECISION: a short training on synthetic images like CIFAR's
  sed -e "s/^name = \"bench_resnet18\"/name = \"resnet18_$1\"\nprecision = \"$1\"\noutput = \"${work//\//\\/}\/runs\"/" -e '/^threads/d' "$here/tests/bench/resnet18.toml" > "$work/$1.toml"
  cat >> "$work/$1.toml" <<'T'

[evaluate]
linear = false
T
}

check "program: version" "$here/foil" --version && version=$(cat "$work/out")
check "program: plugins, none refused" bash -c '"$0" plugins > plugins.txt && cat plugins.txt && ! grep -q ^refused plugins.txt && grep -q "/plugins/infonce.so" plugins.txt' "$here/foil"

while read -r name; do
  if check "cuda test: $name" cuda_test "$name"; then
    ran=$(grep -c '^\[       OK \]' "$work/out")
    skipped=$(grep -c '^\[  SKIPPED \] .*(.* ms)' "$work/out")
    summary[-1]+=": $ran passed, $skipped skipped"
    if [ $device = cuda ] && { [ "$ran" -eq 0 ] || [ "$skipped" -gt 0 ]; }; then
      summary[-1]="FAIL  cuda test: $name skipped $skipped tests on a machine with a GPU"
      failed=1
    fi
  fi
done < "$here/tests/cuda_tests.txt"

conformance() {  # conformance NAME PLUGIN
  if check "conformance: $1" "$here/foil_conformance" "$here/$2" && [ $device = cuda ] && ! grep -q '^  ok    cuda' "$work/out"; then
    summary[-1]="FAIL  conformance: $1 did not compare CUDA with the CPU on a machine with a GPU"
    failed=1
  fi
}
while read -r name; do conformance "$name" "plugins/$name.so"; done < "$here/tests/losses.txt"
conformance "the kernel of foil new --with kernel" tests/plugins/loss_with_kernel/my_plugin.so

python=python3  # of the wheel's environment where it has one
[ -x "$torch/../../../../bin/python3" ] && python=$torch/../../../../bin/python3
PYTHONPATH=$(dirname "$torch") FOIL_PLUGIN_PATH=$here/tests/plugins/loss_with_state \
  check "losses from Python, $device" "$python" "$here/tests/plugins/torch_test.py" "$here/libfoil_torch.so" $device &&
  summary[-1]+=": $(sed -n 's/^Ran \([0-9]* tests\).*/\1/p' "$work/err")"

check "golden vectors (CPU)" "$here/tests/golden" --require ntxent,ntxent_mv,dcl,dclw "$here/golden" && summary[-1]+=": $(tail -n 1 "$work/out")"

steps=200 batch=256 samples=4096
bench=(--steps 195 --pairs 3 --set "data.batch_size=256" --set "data.samples=50000")  # an epoch of the size of CIFAR-10
if [ $device = cpu ]; then
  steps=4 batch=16 samples=64
  bench=(--steps 2 --pairs 1 --set "data.batch_size=16" --set "data.samples=64")
  fi

# The world size does not change the experiment: the losses of two ranks (processes, uneven shards) equal those of one, in fp64. Flips
# only: what interpolates on a GPU is equal to rounding in fp32.
ranks() {
  local world
  cat > "$work/ranks.toml" <<'T'
[run]
precision = "fp64"
steps = 20
[data]
name = "synthetic"
samples = 2560
test_samples = 64
channels = 3
size = 32
batch_size = 63
[[augment]]
name = "horizontal_flip"
[encoder]
name = "small_cnn"
[[loss]]
name = "infonce"
[optimizer]
name = "sgd"
learning_rate = 0.05
[evaluate]
linear = false
T
  for world in 1 2; do
    "$here/foil" train "$work/ranks.toml" --device $device --quiet --nproc $world --set "run.name=ranks$world" > /dev/null || return 1
  done
  python3 - runs/ranks1/*/metrics.jsonl runs/ranks2/*/metrics.jsonl <<'P'
import json, sys
one, two = ([json.loads(line)["loss"] for line in open(path)] for path in sys.argv[1:3])
assert len(one) == len(two) == 20
worst = max(abs(a - b) / abs(a) for a, b in zip(one, two))
print(f"largest relative difference of 20 losses {worst:.1e}")
assert worst < 1e-9
P
}
check "two ranks equal one, fp64, $device" ranks && summary[-1]+=": $(tail -n 1 "$work/out")"
for precision in fp32 bf16; do
  experiment $precision
  if check "training: resnet18, $precision, $device" "$here/foil" train "$work/$precision.toml" --device $device --quiet --set "run.steps=$steps" --set "data.samples=$samples" \
    --set "data.test_samples=$((samples / 4))" --set "data.batch_size=$batch"; then
    rows=$(cat "$work"/runs/resnet18_$precision/*/metrics.jsonl | wc -l)
    summary[-1]+=": $rows steps, loss $(python3 - "$work"/runs/resnet18_$precision/*/metrics.jsonl <<'P'
import json, math, sys
losses = [json.loads(line)["loss"] for line in open(sys.argv[1])]
assert all(map(math.isfinite, losses))
print(f"{losses[0]:.3f} -> {losses[-1]:.3f}")
P
), $(grep -m1 '^knn' "$work/out" | tr -s ' ')"
    if [ "$rows" -ne $steps ]; then summary+=("FAIL  training: $precision wrote $rows rows, not $steps"); failed=1; fi
  fi
done

figures=""
for precision in fp32 bf16; do
  if check "benchmark: resnet18, $precision, $device" "$here/bench/throughput" "$here/tests/bench/resnet18.toml" --device $device "${bench[@]}" --set "run.precision=\"$precision\""; then
    figures+="$precision"$'\n'"$(sed 1d "$work/out")"$'\n'
  fi
done
if [ $device = cuda ]; then
  check "memory over 2,000 steps (cuda)" "$here/bench/throughput" "$here/tests/bench/resnet18.toml" --device cuda --memory --set data.samples=4096 && figures+="$(cat "$work/out")"$'\n'
fi

gpu=none
[ $device = cuda ] && gpu=$(nvidia-smi --query-gpu=name,driver_version --format=csv,noheader 2> /dev/null | head -n 1)
echo
echo "foil on ${gpu:-unknown GPU}; $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1), $(nproc) cores; $(date -u +%FT%TZ)"
echo "${version:-}; bundle of commit $(cat "$here/commit")"
printf '%s\n' "${summary[@]}"
printf '\n%s' "$figures"
[ $failed = 0 ] && echo "all passed" || echo "FAILED"
exit $failed
