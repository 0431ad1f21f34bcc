# A disk that fills up, a folder that becomes read-only or vanishes while a run trains into it: it stops, or warns and
# goes on, as checkpoint.on_error says; what was saved before stays good, and the run goes on from there.
# In a mount namespace of its own, so that nothing outlives it; skipped where the kernel refuses one.
if [ "${VIM_STORAGE_TEST:-}" != inside ]; then
  for options in -rm -m; do
    if unshare $options mount -t tmpfs none /mnt 2>/dev/null; then
      VIM_STORAGE_TEST=inside exec unshare $options bash "$0" "$@"
    fi
  done
  echo "skipped: no mount namespace"
  exit 77
fi
source "$(dirname "$0")/common.sh" "$1"
make_idx "$scratch/data"
make_config "$scratch/c.yaml"
run=$scratch/disk/run
mkdir "$scratch/disk"
pid=
trap '[ -z "$pid" ] || kill -9 "$pid" 2>/dev/null || true; umount -l "$scratch/disk"; rm -rf "$scratch"' EXIT
mount -t tmpfs -o size=8m none "$scratch/disk"

start() {  # on_error
  : >"$scratch/out"  # so that nothing is found in what an earlier run wrote
  "$bin/vim-train" --config "$scratch/c.yaml" --set train.epochs=1000000 --set checkpoint.every_epochs=50 \
    --set train.evaluate_every_epochs=0 --set train.log_every_steps=1000 --set checkpoint.on_error="$1" \
    --output "$run" --resume >"$scratch/out" 2>&1 &
  pid=$!
  wait_for "epoch 55/"
}
fails() {  # CODE TEXT
  local code=0
  wait "$pid" || code=$?
  says "$2"
  [ "$code" = "$1" ] || { cat "$scratch/out"; fail "exit code $code instead of $1"; }
}
good() {  # what was saved, wherever it is now
  local folder=$run
  [ -d "$folder" ] || folder=$run.hidden
  "$bin/vim-convert" verify "$folder"/checkpoints/*.safetensors >"$scratch/verified" || fail "$(cat "$scratch/verified")"
  grep -q 'last.safetensors: a good checkpoint' "$scratch/verified" || fail "no last.safetensors in $folder"
}

fill() { dd if=/dev/zero of="$scratch/disk/filler" bs=4k status=none 2>/dev/null || true; }
drain() { rm "$scratch/disk/filler"; }
protect() { mount --bind "$run" "$run" && mount -o remount,ro,bind "$run"; }
unprotect() { umount -l "$run"; }
hide() { mv "$run" "$run.hidden"; }
show() { mv "$run.hidden" "$run"; }

for trouble in "fill drain" "protect unprotect" "hide show"; do
  read -r begin end <<<"$trouble"
  case $begin in
    fill) cause="cannot write" ;;
    protect) cause="Read-only file system" ;;
    hide) cause="No such file or directory" ;;
  esac
  rm -rf "$run"

  start stop
  $begin
  fails 1 "$cause"
  good
  $end

  rm -rf "$run"
  start continue
  $begin
  wait_for "$cause"
  wait_for "training goes on without this checkpoint"
  last=$(grep -o 'epoch [0-9]*/' "$scratch/out" | tail -1 | tr -dc 0-9)
  wait_for "epoch $((last + 60))/"
  good
  $end
  last=$(grep -o 'epoch [0-9]*/' "$scratch/out" | tail -1 | tr -dc 0-9)
  wait_for "epoch $((last + 110))/"  # a checkpoint since then
  kill "$pid"
  fails 143 "saved in $run/checkpoints/last.safetensors"
  good
  [ "$(find "$scratch/disk" -name '*.tmp' | wc -l)" = 0 ] || fail "$begin: temporary files are left"
done
