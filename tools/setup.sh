#!/usr/bin/env bash
# Makes this machine ready to build, and configures build/release:
#
#   bash tools/setup.sh [Debian package]...
#
# Installs the Debian packages that are missing, those named included (the only step that needs root or sudo),
# and fetches the LibTorch pinned in tools/libtorch-*.txt: with its CUDA half and compiler where there is a GPU.
# Interrupt it, repeat it, or run it twice at once as you like.
#
#   LIBTORCH=DIR         use this LibTorch (the folder with include/ and lib/) and fetch none
#   VIM_CUDA=ON|OFF      decide about the CUDA half yourself, for example where only the cluster's nodes have a GPU
#   VIM_KERNELS=here|all which GPUs to compile kernels for: this machine's, in a sixth of the time and the default
#                        where it has one, or every kind
#   VIM_CACHE=DIR        keep LibTorch here rather than in ~/.cache/vim; all checkouts share it
set -euo pipefail
LIBTORCH=${LIBTORCH:+$(realpath -m "$LIBTORCH")}
cache=$(realpath -m "${VIM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/vim}")
cd "$(dirname "$0")/.."

say() { echo "setup: $*"; }
fail() { echo "setup: $*" >&2; exit 1; }

# --- LibTorch: which one, and is it there? -------------------------------------------------------------------
has_gpu() { [[ -e /dev/nvidiactl || -e /dev/dxg ]]; }  # dxg: Windows' Linux subsystem

cuda=${VIM_CUDA:-AUTO}
variant=cpu
if [[ $cuda == ON ]] || { [[ $cuda == AUTO ]] && has_gpu; }; then variant=cuda; fi
version=$(sed -n 's/^torch==\([0-9.]*\).*/\1/p' tools/libtorch-cpu.txt)
libtorch=${LIBTORCH:-$cache/libtorch-$version-$variant/torch}
if [[ -n $LIBTORCH && ! -e $LIBTORCH/include/ATen ]]; then
  fail "LIBTORCH=$LIBTORCH: no include/ATen there; name the folder that holds LibTorch's include/ and lib/"
fi

# --- Debian packages -----------------------------------------------------------------------------------------
# A compiler or build tool from elsewhere is as good.
packages=(libcli11-dev libjpeg62-turbo-dev libopencv-core-dev libopencv-imgproc-dev libpng-dev libspdlog-dev libturbojpeg0-dev
  libxxhash-dev libyaml-cpp-dev nlohmann-json3-dev zlib1g-dev catch2 "$@")
for tool in g++=g++ cmake=cmake ninja=ninja-build ccache=ccache pkg-config=pkg-config; do
  command -v "${tool%=*}" >/dev/null || packages+=("${tool#*=}")
done
if [[ ! -e $libtorch ]] && ! python3 -m pip --version >/dev/null 2>&1; then
  packages+=(python3-pip)
fi

as_root() { if ((EUID == 0)); then "$@"; else sudo "$@"; fi; }

install_packages() {
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq --yes --fix-broken --no-install-recommends \
    -o DPkg::Lock::Timeout=600 -o Dpkg::Use-Pty=0 install "$@" >/dev/null
}

missing=()
if command -v dpkg-query >/dev/null; then
  installed=$(dpkg-query -W -f '${Package}=${db:Status-Status}\n' "${packages[@]}" 2>/dev/null || true)
  for package in "${packages[@]}"; do
    grep -qxF "$package=installed" <<<"$installed" || missing+=("$package")
  done
else
  say "this is no Debian system; third_party/README.md lists what must be installed"
fi
if ((${#missing[@]})); then
  if ((EUID != 0)) && ! sudo -n true 2>/dev/null && ! { command -v sudo >/dev/null && [[ -t 0 ]]; }; then
    fail "packages are missing, and installing them needs root. Run this as root, then this script again:
  apt-get update && apt-get install --no-install-recommends ${missing[*]}"
  fi
  say "installing ${missing[*]}"
  as_root apt-get -qq update || say "the package lists could not be renewed; trying with those at hand"
  install_packages "${missing[@]}" || {
    say "finishing an interrupted installation first"
    as_root dpkg --configure -a
    install_packages "${missing[@]}"
  }
fi

# --- LibTorch: fetch ------------------------------------------------------------------------------------------
# pip downloads, compares the hashes and unpacks; under a temporary name, so that the final one means complete.
# No Python is needed afterwards: of torch, only the headers and the C++ libraries are kept.
fetch_libtorch() {
  local folder=${libtorch%/torch} partial=${libtorch%/torch}.partial platforms=() quiet=--quiet
  mkdir -p "$cache"
  exec 9>"$cache/lock"
  flock --nonblock 9 || { say "waiting for another set-up, which is fetching LibTorch"; flock 9; }
  if [[ -e $folder ]]; then return; fi

  say "fetching LibTorch $version ($variant) into $folder"
  rm -rf "$partial"
  mkdir -p "$partial/tmp"
  for tag in 2010 2014 _2_17 _2_18 _2_25 _2_27 _2_28; do platforms+=(--platform "manylinux${tag}_x86_64"); done
  if [[ -t 1 ]]; then quiet=--progress-bar=on; fi
  TMPDIR=$partial/tmp PIP_USER=0 PIP_REQUIRE_VIRTUALENV=0 PIP_ROOT_USER_ACTION=ignore \
    python3 -m pip --disable-pip-version-check install "$quiet" --no-cache-dir --no-deps --no-compile \
    --require-hashes --only-binary=:all: --python-version 3.11 "${platforms[@]}" \
    --target "$partial" --requirement "tools/libtorch-$variant.txt"

  find "$partial" -mindepth 1 -maxdepth 1 ! -name torch ! -name nvidia ! -name '*.dist-info' -exec rm -r {} +
  find "$partial/torch" -mindepth 1 -maxdepth 1 ! -name include ! -name lib -exec rm -r {} +
  rm "$partial/torch/lib/libtorch_python.so"
  if [[ $variant == cpu ]]; then
    rm "$partial"/torch/lib/lib*cuda*.so
  else
    ln -s lib "$partial/nvidia/cu13/lib64"  # where nvcc looks
    ln -s libcudart.so.13 "$partial/nvidia/cu13/lib/libcudart.so"
  fi
  mv "$partial" "$folder"
}
if [[ ! -e $libtorch ]]; then (fetch_libtorch); fi

# --- Configure ------------------------------------------------------------------------------------------------
# A second, fresh attempt for a build folder that no longer fits: interrupted, moved, or another compiler.
mkdir -p build
exec 9>build/setup.lock
flock 9
case ${VIM_KERNELS:-here} in
  here) architectures=native ;;
  all) architectures= ;;
  *) fail "VIM_KERNELS=$VIM_KERNELS: it is here or all" ;;
esac
configure=(cmake --preset release -DCMAKE_PREFIX_PATH="$libtorch" -DVIM_CUDA="$cuda"
  -DCMAKE_CUDA_ARCHITECTURES="$architectures")
if [[ ! -e build/release/build.ninja ]]; then say "configuring build/release"; fi
"${configure[@]}" >/dev/null 2>&1 || "${configure[@]}" --fresh >/dev/null
