#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The dependency rules of the tree, as a test. Prints every line that breaks one, with the rule's number.
cd "$(dirname "$0")/.." || exit 1
shopt -s lastpipe  # rule, the end of a pipe, sets what this shell ends with
broken=0
rule() {  # rule NUMBER TEXT; the offending lines on stdin
  local lines
  lines=$(cat)
  [ -z "$lines" ] && return
  printf 'rule %s: %s\n%s\n' "$1" "$2" "$lines"
  broken=1
}
includes() { grep -rnE '^#include' "$@" --include='*.h' --include='*.cpp' --include='*.cu' --include='*.cuh'; }

includes core/include | grep -vE '#include <(foil|torch|ATen|c10)/|#include <[a-z_]+>$|#include <(cuda_runtime)\.h>' |
  rule 1 'public headers include LibTorch and std only'
includes core | grep -v '^core/program/main.cpp:' | grep -E '[<"](plugins|losses|augment|encoders)/|foil/plugin\.h' |
  rule 2 'core never includes plugins, losses, augment or encoders; main.cpp alone meets plugins'
includes losses augment encoders | grep -vE '#include <(foil/(plugin|graph|contrast)\.h|torch/|ATen/|c10/|[a-z_]+>)|#include "[a-z_]+\.(h|cuh)"' |
  grep -vE '^augment/communities.cpp:.*<(igraph/igraph|dlfcn)\.h>|^augment/render_text.cpp:.*(<ft2build.h>|FT_FREETYPE_H)' |
  rule 3 'a plugin includes foil/plugin.h, foil/graph.h, foil/contrast.h, LibTorch and its own files; communities.cpp alone igraph, render_text.cpp FreeType'
{ includes core plugins | grep -v '^core/config/' | grep 'toml++'
  includes core plugins | grep -v '^core/ranks/' | grep -E 'c10d|nccl'
  includes core plugins | grep -v '^plugins/loader.cpp' | grep 'boost/dll'
  grep -rnE '^#include.*(ATen|torch)/' --include='*.cu' . ; } | grep -v '^./build' |
  rule 4 'toml++ only in core/config, c10d and NCCL only in core/ranks, Boost.DLL only in plugins/loader.cpp, no ATen in .cu'
for name in $(ls losses/*.cpp losses/graph/*.cpp encoders/*.cpp augment/*.cpp 2>/dev/null | xargs -n1 basename | sed 's/\.cpp$//'); do
  grep -rn --include='*.h' --include='*.cpp' --include='*.cu' "\"$name\"" core plugins | grep -vE '^[^:]+:[0-9]+: *//' | grep -vE "//.*\"$name\""
done | rule 5 'no quoted method name in the code of core or plugins'
for file in $(ls core/*.cpp core/*/*.cpp plugins/*.cpp plugins/*/*.cpp losses/*.cpp encoders/*.cpp augment/*.cpp); do
  [ "$(wc -l < "$file")" -le 60 ] || sed -n '1,2p' "$file" | grep -v SPDX | grep -q '^//' || echo "$file"
done | rule 6 'a source of more than 60 lines opens with what it is'
wc -l $(find core plugins losses augment encoders tests -name '*.cpp' -o -name '*.h' -o -name '*.cu') | awk '$1 > 400 && $2 != "total"' |
  rule 7 'no file of more than 400 lines'
exit $broken
