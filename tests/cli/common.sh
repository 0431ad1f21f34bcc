# Shared by the scripts of this folder. $1 is the folder of the programs.
set -euo pipefail
bin=$1
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export OMP_NUM_THREADS=1

fail() {
  printf 'FAILED: %s\n' "$*" >&2
  exit 1
}

# expect CODE COMMAND...: runs it, output in $scratch/out, and compares the exit code.
expect() {
  local wanted=$1 code=0
  shift
  "$@" >"$scratch/out" 2>&1 || code=$?
  if [ "$code" != "$wanted" ]; then
    cat "$scratch/out" >&2
    fail "exit code $code instead of $wanted: $*"
  fi
}

# says TEXT: the last output holds this text, and no stack trace.
says() {
  grep -qF -- "$1" "$scratch/out" || {
    cat "$scratch/out" >&2
    fail "the output lacks: $1"
  }
  ! grep -q 'frame #' "$scratch/out" || fail "a stack trace"
}

# Byte by byte.
same_file() { cmp -s "$1" "$2" || fail "$1 and $2 differ"; }

# A small data set in the IDX format: 160 + 32 grey images of 8 x 8 pixels, 2 classes, one a brighter half.
make_idx() {
  python3 - "$1" <<'PYTHON'
import random, struct, sys, os
random.seed(1)
os.makedirs(sys.argv[1], exist_ok=True)
for name, count in (("train", 160), ("t10k", 32)):
    labels = bytes(i % 2 for i in range(count))
    pixels = b"".join(bytes(random.randrange(100) + (100 if (x < 4) == (label == 0) else 0)
                            for y in range(8) for x in range(8)) for label in labels)
    with open(f"{sys.argv[1]}/{name}-images-idx3-ubyte", "wb") as f:
        f.write(struct.pack(">IIII", 0x803, count, 8, 8) + pixels)
    with open(f"{sys.argv[1]}/{name}-labels-idx1-ubyte", "wb") as f:
        f.write(struct.pack(">II", 0x801, count) + labels)
PYTHON
}

# A configuration for it, trained in a second.
make_config() {
  cat >"$1" <<YAML
threads: 1
model: {image_size: 8, in_channels: 1, patch_size: 4, embed_dim: 16, depth: 2, num_classes: 2, drop_path_rate: 0.1}
data:
  format: idx
  root: $scratch/data
  channels: 1
  batch_size: 16
  workers: 2
  mean: [0.5]
  std: [0.25]
  train_transforms: [flip, {padded_shift: 1}]
  eval_transforms: []
optim: {lr: 3e-3, lr_base_batch: 0, clip_grad: 1}
schedule: {warmup_epochs: 0}
ema: {decay: 0.9}
train: {epochs: 3, log_every_steps: 1}
YAML
}
