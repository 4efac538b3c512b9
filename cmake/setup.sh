#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Installs what is missing to build and run foil on Debian 12; does nothing, and needs no network, where all is there.
#   setup.sh build   Debian packages and LibTorch
#   setup.sh all     the same, the browser and the Python environment that the tests and the peer benchmarks use
# LibTorch comes from the torch wheel and goes into one cache outside the clone: $FOIL_CACHE, or ~/.cache/foil.
# FOIL_LIBTORCH=DIR (a folder with include/ and lib/) uses another LibTorch.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
what=${1:-all}
say() { printf 'setup: %s\n' "$*" >&2; }
stop() { printf 'setup: %s\n' "$*" >&2; exit 1; }

packages="g++ clang-format-14 cmake ninja-build ccache git make libboost-dev libboost-filesystem-dev libtomlplusplus-dev libcli11-dev nlohmann-json3-dev
  libsqlite3-dev libturbojpeg0-dev libpng-dev zlib1g-dev libarchive-dev libfreetype-dev libgloo-dev libigraph-dev libgtest-dev libbenchmark-dev dataset-fashion-mnist python3 python3-venv"
[ "$what" = build ] || packages="$packages chromium librsvg2-bin fonts-unifont"  # show reports and texts to tests
missing=$(for p in $packages; do dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || printf '%s ' "$p"; done)
if [ -n "$missing" ]; then
  say "installing Debian packages: $missing"
  root=""
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || stop "these packages are missing and sudo is not there. As root: apt-get install $missing"
    root=sudo
  fi
  $root apt-get update -qq || stop "apt-get update failed; these packages are missing: $missing"
  DEBIAN_FRONTEND=noninteractive $root apt-get install -y -qq --no-install-recommends $missing >&2 || stop "apt-get install $missing failed"
fi

cache=${FOIL_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/foil}
home=$cache/torch-2.11.0
venv=$home/venv
mkdir -p "$home"
exec 9>"$home/lock"  # two clones may be set up at the same time: one installs, the other waits
flock 9

need_space() {  # need_space GIB
  local free=$(($(df -Pk "$home" | awk 'NR == 2 {print $4}') / 1048576))
  say "about $1 GiB will be written to $home; free there: $free GiB"
  [ "$free" -ge "$1" ] || stop "not enough room for $1 GiB in $home. Set FOIL_CACHE to a folder on a larger disk."
}
# Installs each wheel of a list by itself, so that an interrupted set-up goes on where it was. $2: no-deps, always; the lists are complete.
install_list() {
  local list=$1 wheel
  while read -r wheel; do
    case $wheel in ''|'#'*) continue ;; esac
    [ -e "$home/done/$wheel" ] && continue
    say "installing $wheel"
    "$venv/bin/python" -m pip install -q --no-deps --no-cache-dir --retries 10 "$wheel" >&2 || stop "could not install $wheel; run the same command again to go on"
    mkdir -p "$home/done" && touch "$home/done/$wheel"
  done < "$list"
}
if [ ! -x "$venv/bin/python" ] || [ ! -e "$home/done/venv" ]; then
  /usr/bin/python3 -m venv --clear "$venv" || stop "python3 -m venv failed. Install it: apt-get install python3-venv"
  rm -rf "$home/done" && mkdir -p "$home/done" && touch "$home/done/venv"
fi
if [ -z "${FOIL_LIBTORCH:-}" ]; then
  grep -v '^#' "$here/libtorch.txt" | while read -r w; do [ -z "$w" ] || [ -e "$home/done/$w" ] || echo x; done | grep -q x && need_space 6
  install_list "$here/libtorch.txt"
else
  [ -e "$FOIL_LIBTORCH/lib/libtorch_cpu.so" ] || stop "FOIL_LIBTORCH=$FOIL_LIBTORCH has no lib/libtorch_cpu.so"
fi
if [ "$what" = all ]; then
  [ -z "${FOIL_LIBTORCH:-}" ] || install_list "$here/libtorch.txt"
  install_list "$here/python.txt"
fi
