#!/usr/bin/env bash
# The two commands of the README on a bare Debian 12, twice, and the packaged folder moved elsewhere:
#
#   sudo bash tests/setup/bare_debian.sh [ROOT]     (about 40 minutes; needs debootstrap, 10 GB, the network)
#
# ROOT (default /var/tmp/bare_debian) is made by debootstrap where it does not exist; remove it to start bare again.
# It gets a fresh clone of what is committed here, and this machine's own certificates.
set -euo pipefail
source_tree=$(cd "$(dirname "$0")/../.." && pwd)
root=$(realpath -m "${1:-/var/tmp/bare_debian}")

if [[ ! -e $root/etc/debian_version ]]; then
  debootstrap --variant=minbase bookworm "$root"
fi
mkdir -p "$root/usr/local/share/ca-certificates" "$root/work"
cp /usr/local/share/ca-certificates/* "$root/usr/local/share/ca-certificates/" 2>/dev/null || true
cp /etc/resolv.conf "$root/etc/"
echo "127.0.0.1 localhost" >"$root/etc/hosts"  # as any machine's installer leaves it
for folder in proc dev; do
  mount --rbind --make-rslave "/$folder" "$root/$folder"
done
trap 'umount -l "$root/proc" "$root/dev"' EXIT

inside() { chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root CI=true "$@" </dev/null; }
step() { echo "--- $*"; local start=$SECONDS; "$@"; echo "--- $((SECONDS - start)) s"; }

rm -rf "$root/work/vim"
git clone --quiet "$source_tree" "$root/work/vim"
step inside bash /work/vim/tools/quickstart.sh
step inside bash /work/vim/tools/quickstart.sh
step inside bash /work/vim/tools/test.sh
step inside bash /work/vim/tools/test.sh
step inside bash /work/vim/tools/package.sh --with-libtorch /work/packaged
rm -rf "$root/moved"
mv "$root/work/packaged" "$root/moved"
step inside /moved/bin/vim-eval --checkpoint /work/vim/runs/fashion_mnist/checkpoints/best.safetensors
echo "bare Debian: everything works"
