#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# What a newcomer sees: a Debian 12 made by debootstrap in a folder, a fresh clone in it, `make quickstart` and `make test`; then a second
# clone (ccache), one touched loss (rebuild and load). Prints the times beside their goals. Needs root, debootstrap, 15 GiB. Not a ctest.
#   fresh_machine.sh [--folder DIR] [--keep] [--only STAGE,...] [--skip STAGE,...]
# Stages: system (debootstrap), clone, setup (packages, LibTorch, Python), build (cold), quickstart, test, second (ccache), touch.
# --folder is reused when its system is there; without --keep a folder made by this run is removed at the end.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
folder= keep=0 only= skip=
while [ $# -gt 0 ]; do
  case $1 in
    --folder) folder=$2; shift ;;
    --keep) keep=1 ;;
    --only) only=,$2,; shift ;;
    --skip) skip=,$2,; shift ;;
    *) sed -n '3,7s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
  esac
  shift
done
[ "$(id -u)" = 0 ] || { echo "fresh_machine.sh: run it as root (debootstrap and chroot need it)" >&2; exit 1; }
command -v debootstrap > /dev/null || { echo "fresh_machine.sh: debootstrap is missing: apt-get install debootstrap" >&2; exit 1; }
made=0
if [ -z "$folder" ]; then folder=$(mktemp -d /var/tmp/foil-fresh.XXXXXX) made=1; fi
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
missed=0

wanted() {  # wanted STAGE
  case $skip in *,$1,*) return 1 ;; esac
  [ -z "$only" ] && return 0
  case $only in *,$1,*) return 0 ;; esac
  return 1
}
cleanup() {
  for mount in dev proc; do ! mountpoint -q "$folder/$mount" || umount -l "$folder/$mount"; done
  if [ $made = 1 ] && [ $keep = 0 ]; then rm -rf --one-file-system "$folder"; else echo "kept: $folder" >&2; fi
}
trap cleanup EXIT
inside() {  # inside COMMAND: a shell of the new machine, with the network settings of this one and nothing else of it
  local settings=()
  for name in http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY SSL_CERT_FILE PIP_CERT REQUESTS_CA_BUNDLE PIP_INDEX_URL PIP_EXTRA_INDEX_URL; do
    [ -n "${!name:-}" ] && settings+=("$name=${!name}")
  done
  env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 TERM=dumb "${settings[@]}" chroot "$folder" /bin/bash -c "$1"
}
timed() {  # timed TEXT GOAL COMMAND: GOAL in seconds, 0 = none
  local begin=$EPOCHREALTIME seconds
  "${@:3}" || { echo "FAIL  $1" ; exit 1; }
  seconds=$(awk -v a="$begin" -v b="$EPOCHREALTIME" 'BEGIN {printf "%.1f", b - a}')
  if [ "$2" = 0 ]; then printf '      %-44s %8s s\n' "$1" "$seconds"; return; fi
  if awk -v s="$seconds" -v g="$2" 'BEGIN {exit !(s <= g)}'; then printf 'PASS  %-44s %8s s, goal %s s\n' "$1" "$seconds" "$2"; else printf 'MISS  %-44s %8s s, goal %s s\n' "$1" "$seconds" "$2"; missed=1; fi
}
mounts() {
  mkdir -p "$folder"/{proc,dev}
  mountpoint -q "$folder/proc" || mount -t proc proc "$folder/proc"
  mountpoint -q "$folder/dev" || mount --bind /dev "$folder/dev"
}
network() {  # how this machine reaches apt and pip: names, proxies, certificates, as files
  local path
  for path in /etc/resolv.conf /etc/hosts /etc/pip.conf /root/.config/pip /root/.pip /etc/apt/apt.conf.d /etc/ssl/certs /usr/local/share/ca-certificates; do
    [ -e "$path" ] || continue
    mkdir -p "$folder$(dirname "$path")"
    cp -rL "$path" "$folder$(dirname "$path")/" 2> /dev/null || true
  done
  if ls /etc/apt/sources.list.d/*.sources /etc/apt/sources.list > /dev/null 2>&1; then
    rm -rf "$folder"/etc/apt/sources.list "$folder"/etc/apt/sources.list.d
    for path in sources.list sources.list.d keyrings trusted.gpg.d; do [ ! -e "/etc/apt/$path" ] || cp -rL "/etc/apt/$path" "$folder/etc/apt/"; done
  fi
}
mirror() {  # the mirror this machine's apt uses for bookworm
  apt-get indextargets --format '$(REPO_URI) $(CODENAME)' 2> /dev/null | awk '$2 == "bookworm" {print $1; exit}'
}
clone() {  # clone NAME: into /root/NAME, history and all
  rm -rf "$folder/root/$1"
  git clone -q --no-local "$root" "$folder/root/$1"
}
make_system() {
  [ -x "$folder/usr/bin/make" ] && return
  local include=ca-certificates,git,make,g++ where
  where=$(mirror)
  debootstrap --variant=minbase --include=$include bookworm "$folder" ${where:+"$where"} > "$folder.log" 2>&1 || { tail -n 20 "$folder.log" >&2; return 1; }
  rm -f "$folder.log"
}

wanted system && timed "debootstrap" 0 make_system
[ -x "$folder/usr/bin/make" ] || { echo "fresh_machine.sh: $folder has no system; do not skip 'system'" >&2; exit 1; }
mounts
network
wanted clone && timed "clone" 0 clone foil
wanted setup && timed "make setup (packages, LibTorch, Python)" 0 inside 'cd /root/foil && make setup'
wanted build && timed "cold build of everything" 720 inside 'cd /root/foil && rm -rf build /root/.cache/ccache && make configured && cmake --build build -j "$(nproc)" > build/build.log 2>&1 || { tail -n 40 build/build.log; exit 1; }'
wanted quickstart && timed "make quickstart" 0 inside 'cd /root/foil && make quickstart'
wanted test && timed "make test, everything built" 1200 inside 'cd /root/foil && make test'
if wanted second; then
  clone second
  timed "second clone: build" 0 inside 'cd /root/second && ccache -z > /dev/null && make configured && cmake --build build -j "$(nproc)" > build/build.log 2>&1 || { tail -n 40 build/build.log; exit 1; }'
  inside 'ccache --print-stats' | awk '
    $1 == "direct_cache_hit" || $1 == "preprocessed_cache_hit" {hits += $2}
    $1 == "cache_miss" {misses += $2}
    END {share = hits + misses ? 100 * hits / (hits + misses) : 0
         printf "%s  %-44s %8.1f %% of %d, goal 90 %%\n", (share >= 90 ? "PASS" : "MISS"), "second clone: ccache hits", share, hits + misses
         exit (share < 90)}' || missed=1
fi
if wanted touch; then
  echo "namespace { [[maybe_unused]] const int touched = $RANDOM; }" >> "$folder/root/foil/losses/infonce.cpp"
  timed "one loss changed: rebuilt and loaded" 10 inside 'cd /root/foil && cmake --build build --target infonce > build/build.log 2>&1 && build/foil plugins | grep -q infonce.so'
fi
exit $missed
