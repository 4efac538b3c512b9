#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Collects what a machine with a GPU needs to check this build, into gpu-bundle/ (at most 40 MiB): program, library, plugins, the kernel's
# template, the Python library with its test, the tests labelled cuda, the golden runner with its vectors, the benchmarks, and the libraries
# that such a machine may lack. Not LibTorch:
# gpu-bundle/run.sh finds that of the torch wheel. The tree below gpu-bundle/ is the build's, so the parts find each other as there.
# usage: bundle.sh BUILD
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
build=$(cd "${1:?usage: bundle.sh BUILD}" && pwd)
bundle=$root/gpu-bundle
limit=40
rm -rf "$bundle"
mkdir -p "$bundle"/{plugins,tests/{bench,plugins},bench,lib,golden,experiments}

cp "$build/foil" "$build/foil_conformance" "$build/libfoil.so" "$build/libfoil_torch.so" "$bundle/"
for template in loss_with_kernel loss_with_state; do
  mkdir "$bundle/tests/plugins/$template"
  cp "$build/tests/plugins/$template/my_plugin.so" "$bundle/tests/plugins/$template/"
done
cp "$root/tests/plugins/torch_test.py" "$bundle/tests/plugins/"
cp "$build"/plugins/*.so "$bundle/plugins/"
cp "$build"/bench/* "$bundle/bench/" 2> /dev/null || [ -x "$bundle/bench/throughput" ]
cp "$build/tests/golden" "$bundle/tests/"
tests() { ctest --test-dir "$build" --show-only=json-v1 "$@" | python3 -c 'import json, sys; [print(test["name"]) for test in json.load(sys.stdin)["tests"]]'; }
tests -R '^conformance_' -E '^conformance_cuda$' | grep -v template | sed -n '/_test$/!s/^conformance_//p' > "$bundle/tests/losses.txt"
for name in $(tests -L '^cuda$' -E '^conformance_cuda$'); do  # run.sh compares in the conformance tests themselves
  cp "$build/tests/$name" "$bundle/tests/"
  echo "$name" >> "$bundle/tests/cuda_tests.txt"
done
[ -s "$bundle/tests/cuda_tests.txt" ] || { echo "bundle.sh: no test is labelled cuda" >&2; exit 1; }
cp "$root"/tests/golden/*.safetensors "$bundle/golden/"
cp "$root"/tests/bench/*.toml "$bundle/tests/bench/"
cp "$root"/experiments/quickstart.toml "$bundle/experiments/"  # small_cnn.toml extends it
cp "$root/tests/gpu/run.sh" "$bundle/run.sh"
git -C "$root" rev-parse --short HEAD > "$bundle/commit" 2> /dev/null || echo unknown > "$bundle/commit"
sed -n 's/^set(FOIL_TORCH_VERSION \(.*\))/\1/p' "$root/cmake/FoilTorch.cmake" > "$bundle/torch_version"

# What ldd finds outside LibTorch, nvidia's wheels and this build, but for the system's own (C and C++ run time).
programs=("$bundle/foil" "$bundle/foil_conformance" "$bundle"/libfoil*.so "$bundle"/plugins/*.so "$bundle"/tests/* "$bundle"/bench/*)
for file in "${programs[@]}"; do
  [ -f "$file" ] && [ -x "$file" ] && LD_LIBRARY_PATH=$build ldd "$file" | awk '$2 == "=>" && $3 ~ /^\// {print $3}'
done | sort -u | grep -vE '/torch/lib/|/nvidia/|/libfoil\.so|/(ld-linux[^/]*|libc|libm|libdl|librt|libpthread|libutil|libgcc_s|libstdc\+\+)\.so' |
  while read -r library; do cp -L "$library" "$bundle/lib/"; done

# Nothing may look for libraries where this machine built them: only beside itself.
cat > "$bundle/rpath.cmake" <<'C'
file(RPATH_SET FILE "${FILE}" NEW_RPATH "${RPATH}")
C
for file in $(find "$bundle" -type f \( -name '*.so*' -o -perm -u+x \) ! -name '*.sh'); do
  strip --strip-unneeded "$file"
  case ${file#"$bundle/"} in
    lib/*) continue ;;
    tests/plugins/*) rpath='$ORIGIN/../../..:$ORIGIN/../../../lib' ;;
    */*) rpath='$ORIGIN/..:$ORIGIN/../lib' ;;
    *) rpath='$ORIGIN:$ORIGIN/lib' ;;
  esac
  cmake -DFILE="$file" -DRPATH="$rpath" -P "$bundle/rpath.cmake"
  if readelf -d "$file" | grep -E 'R(UN)?PATH' | grep -v "\[$(printf '%s' "$rpath" | sed 's/[$.]/\\&/g')\]"; then echo "bundle.sh: $file looks for libraries elsewhere" >&2; exit 1; fi
done
rm "$bundle/rpath.cmake"

size=$(du -sk --apparent-size "$bundle" | cut -f1)
printf 'gpu-bundle: %s MiB, %s CUDA tests; libraries: %s\n' "$(awk -v k="$size" 'BEGIN {printf "%.1f", k / 1024}')" "$(wc -l < "$bundle/tests/cuda_tests.txt")" "$(ls "$bundle/lib" | tr '\n' ' ')"
[ "$size" -le $((limit * 1024)) ] || { echo "bundle.sh: gpu-bundle is larger than $limit MiB" >&2; exit 1; }
