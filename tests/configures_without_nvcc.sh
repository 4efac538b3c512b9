#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Configures the tree on a machine that seems to have no CUDA compiler, and compiles one file with what that chose.
#   configures_without_nvcc.sh SOURCE BUILD
# nvcc is hidden wherever CMake looks: PATH keeps only folders without it, CUDACXX and CUDA's own variables are unset, and the toolkit's
# usual place is left out of every search. FOIL_WITH_CUDA stays ON: the tree must find out by itself.
set -euo pipefail
source=$1 build=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unset CUDACXX CUDA_PATH CUDA_HOME CUDAToolkit_ROOT NVCC_PREPEND_FLAGS
path=
IFS=: read -ra folders <<< "$PATH"
for folder in "${folders[@]}"; do [ -x "$folder/nvcc" ] || path=${path:+$path:}$folder; done
export PATH=$path
if command -v nvcc > /dev/null; then echo "nvcc is still found: $(command -v nvcc)"; exit 1; fi

torch=$(sed -n 's/^FOIL_LIBTORCH:[A-Z]*=//p' "$build/CMakeCache.txt")
cmake -S "$source" -B "$work/build" -G Ninja -DFOIL_LIBTORCH="$torch" -DCMAKE_IGNORE_PREFIX_PATH=/usr/local/cuda > "$work/log" 2>&1 || { cat "$work/log"; exit 1; }
grep -q '^-- CUDA code: OFF$' "$work/log" || { cat "$work/log"; echo "the CUDA code is not OFF"; exit 1; }
grep -q '^-- Generating done' "$work/log" || { cat "$work/log"; exit 1; }

# One file, by its own command line but without the precompiled header, whose making takes longer than everything else here: the file
# includes what it needs, and finds foil's headers, LibTorch's and nothing of CUDA.
python3 - "$work/build/compile_commands.json" "$work/error.o" > "$work/command" <<'P'
import json, shlex, sys
entry = next(e for e in json.load(open(sys.argv[1])) if e["file"].endswith("/core/api/error.cpp"))
words, kept, i = shlex.split(entry["command"]), [], 0
assert not any("FOIL_CUDA" in w or w == "-DUSE_C10D_NCCL" for w in words), "CUDA definitions without CUDA: " + entry["command"]
while i < len(words):
    if words[i] == "-include" and "cmake_pch" in words[i + 1]: i += 1
    elif words[i] == "-o": kept += ["-o", sys.argv[2]]; i += 1
    elif words[i] not in ("-Winvalid-pch", "-fpch-preprocess"): kept.append(words[i])
    i += 1
print("cd", shlex.quote(entry["directory"]), "&&", shlex.join(kept))
P
bash "$work/command"
[ -s "$work/error.o" ] || { echo "core/api/error.cpp was not compiled"; exit 1; }
echo "configured without nvcc; core/api/error.cpp compiles"
