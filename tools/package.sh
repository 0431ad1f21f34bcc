#!/usr/bin/env bash
# Builds, and puts the programs into a folder that can be moved to another x86-64 Linux machine (glibc 2.36 or
# later), which needs neither Debian's libraries nor Python:
#
#   bash tools/package.sh [--with-libtorch] DEST
#
#   DEST/bin        the programs, stripped
#   DEST/lib        the shared libraries that they need beyond those of the compiler and of LibTorch
#   DEST/lib/torch  LibTorch with --with-libtorch (and lib/nvidia beside it); else made on the other machine, once:
#                   ln -s <the torch folder of a wheel of the same version> DEST/lib/torch
#   DEST/configs    the recipes
#   DEST/licenses   of the libraries in lib
set -euo pipefail

with_libtorch=no
if [[ ${1:-} == --with-libtorch ]]; then with_libtorch=yes; shift; fi
if (($# != 1)) || [[ $1 == -* ]]; then
  echo "usage: bash tools/package.sh [--with-libtorch] DEST" >&2
  exit 2
fi
dest=$(realpath -m "$1")
cd "$(dirname "$0")/.."
if [[ -e $dest ]]; then
  echo "package: $dest exists; name a new folder, or remove it" >&2
  exit 1
fi

VIM_KERNELS=all bash tools/setup.sh
cmake --build build/release --target tools/all
# Unfinished under another name, as an interrupted copy would look complete.
partial=$dest.partial
rm -rf "$partial"
cmake --install build/release --component programs --prefix "$partial" --strip >/dev/null

mkdir -p "$partial/lib" "$partial/licenses"
libtorch=
while read -r library; do
  name=$(basename "$library")
  case $library in
    */libtorch_cpu.so) libtorch=$(realpath "${library%/lib/libtorch_cpu.so}") ;;
    */torch/lib/* | */nvidia/*) ;;
    */libc.so.* | */libm.so.* | */libdl.so.* | */librt.so.* | */libpthread.so.* | */libutil.so.*) ;;
    */libresolv.so.* | */ld-linux* | */libstdc++.so.* | */libgcc_s.so.* | */libc10*.so | */libtorch*.so) ;;
    *)
      cp -L "$library" "$partial/lib/"
      package=$(dpkg -S "$(realpath "$library")" 2>/dev/null || dpkg -S "*/$name" 2>/dev/null || true)
      package=${package%%:*}
      if [[ -e /usr/share/doc/$package/copyright ]]; then
        cp -L "/usr/share/doc/$package/copyright" "$partial/licenses/$package"
      fi
      ;;
  esac
done < <(ldd build/release/bin/vim-* | sed -n 's/.* => \(\/[^ ]*\) .*/\1/p' | sort -u)

if [[ $with_libtorch == yes ]]; then
  mkdir "$partial/lib/torch"
  cp -r "$libtorch/lib" "$partial/lib/torch/"
  for folder in "$libtorch"/../nvidia/*/; do
    [[ -d $folder/lib ]] || continue
    mkdir -p "$partial/lib/nvidia/$(basename "$folder")"
    cp -r "$folder/lib" "$partial/lib/nvidia/$(basename "$folder")/"
  done
fi
mv "$partial" "$dest"
echo "package: $dest ($(du -sh "$dest" | cut -f1))"
