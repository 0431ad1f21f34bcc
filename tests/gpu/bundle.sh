#!/usr/bin/env bash
# Puts what a GPU machine needs to test and measure this project into a folder: programs, their libraries, the
# fixtures of the models, configurations. That machine needs a driver and a LibTorch of the same version with its
# CUDA half, but neither a compiler nor Debian's packages:
#
#   bash tests/gpu/bundle.sh DEST [BUILD]      # here; BUILD is a CUDA build (default: build/cuda)
#   bash DEST/run.sh LIBTORCH [--quick] [SECTION...]   # there; LIBTORCH is the folder with lib/libtorch_cuda.so
#   bash DEST/run_ranks.sh LIBTORCH            # there, with two GPUs
set -euo pipefail
if (($# < 1 || $# > 2)); then
  echo "usage: bash tests/gpu/bundle.sh DEST [BUILD]" >&2
  exit 2
fi
mkdir -p "$1"
dest=$(realpath "$1")
build=$(realpath -m "${2:-build/cuda}")
cd "$(dirname "$0")/../.."

cmake --build "$build" --target {scan,conv,norm,projections}_cuda test_{ops,nn,train} vim-{train,eval,bench}
mkdir -p "$dest/bin" "$dest/lib" "$dest/fixtures"
programs=("$build"/bin/{{scan,conv,norm,projections}_cuda,test_{ops,nn,train},vim-{train,eval,bench}})
for program in "${programs[@]}"; do strip -o "$dest/bin/$(basename "$program")" "$program"; done
ldd "${programs[@]}" | sed -n 's/.* => \(\/usr\/lib[^ ]*\|\/lib[^ ]*\) .*/\1/p' | sort -u |
  grep -vE '/(libc|libm|libdl|librt|libpthread|libgcc_s|libstdc\+\+|ld-linux[^/]*)\.so' |
  xargs -I{} cp -L {} "$dest/lib/"
cp -r configs tests/cli tests/gpu/run.sh tests/gpu/run_ranks.sh bench/deit_compiled.py "$dest/"
fashion=/usr/share/datasets/fashion-mnist
if [[ -d $fashion ]]; then cp -rL "$fashion" "$dest/"; fi
fixtures=${VIM_FIXTURES:-../shared/fixtures}
if [[ -d $fixtures ]]; then cp -r --no-preserve=mode "$fixtures/." "$dest/fixtures/"; fi
echo "bundle: $dest ($(du -sh "$dest" | cut -f1))"
