#!/usr/bin/env bash
# Compiles a kernel for GPUs that this machine need not have: the oldest and the newest of a release, or those of
# VIM_TEST_ARCHITECTURES ("all", or "80 90a"), which takes longer.
#   compiles.sh NVCC SOURCE_DIR KERNEL.cu OUTPUT "ARCHITECTURES OF A RELEASE"
set -euo pipefail
release=$5
case ${VIM_TEST_ARCHITECTURES:-} in
  all) architectures=$release ;;
  "") architectures="${release%% *} ${release##* }" ;;
  *) architectures=$VIM_TEST_ARCHITECTURES ;;
esac
flags=()
for architecture in $architectures; do
  flags+=(-gencode "arch=compute_$architecture,code=sm_$architecture")
done
"$1" -std=c++17 -O3 -Werror=all-warnings -I"$2/src" -I"$2/include" "${flags[@]}" -fatbin -o "$4" "$2/$3"
