#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# corrupted.sh GOLDEN PYTHON: a copy of a vector with one gradient entry times 1.001 must FAIL, as must a missing mapping and an empty folder.
set -u
here=$(cd "$(dirname "$0")" && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$2" - "$here/ntxent-small.safetensors" "$folder/ntxent-small.safetensors" <<'P' || exit 1
import sys
from safetensors import safe_open
from safetensors.torch import save_file
with safe_open(sys.argv[1], "pt") as f:
    tensors, metadata = {k: f.get_tensor(k).clone() for k in f.keys()}, f.metadata()
g = tensors["grad.z2"].view(-1)
g[g.abs().argmax()] *= 1.001
save_file(tensors, sys.argv[2], metadata)
P
out=$("$1" "$folder" 2>&1) && { echo "a corrupted gradient passed: $out"; exit 1; }
grep -q '^FAIL ntxent-small' <<< "$out" || { echo "no FAIL line: $out"; exit 1; }
"$1" --require no_such_loss "$here" > /dev/null 2>&1 && { echo "a required loss without a mapping passed"; exit 1; }
mkdir "$folder/empty"
"$1" "$folder/empty" > /dev/null 2>&1 && { echo "an empty folder passed"; exit 1; }
exit 0
