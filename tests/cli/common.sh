# Shared by the scripts of this folder. $1 is the folder of the programs.
set -euo pipefail
bin=$(realpath "$1")
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

# wait_for TEXT: appears in $scratch/out, which a program in the background writes.
wait_for() {
  local i
  for ((i = 0; i < 300; ++i)); do
    grep -qF -- "$1" "$scratch/out" && return
    sleep 0.1
  done
  cat "$scratch/out" >&2
  fail "never said: $1"
}

# Byte by byte.
same_file() { cmp -s "$1" "$2" || fail "$1 and $2 differ"; }

# Changes four bytes of a file, 100 before its end.
damage() { printf '\0\1\2\3' | dd of="$1" bs=1 seek=$(($(stat -c %s "$1") - 100)) conv=notrunc status=none; }

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

# An image folder of 2 x 20 training and 2 x 4 evaluation images of 12 x 10 pixels, and the options that read it.
make_photos() {
  python3 - "$1" <<'PYTHON'
import os, struct, sys, zlib
def png(path, shade):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    rows = b"".join(b"\0" + bytes([shade, shade, 255 - shade] * 12) for _ in range(10))
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    with open(path, "wb") as f:
        f.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 12, 10, 8, 2, 0, 0, 0))
                + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
for split, count in (("train", 20), ("val", 4)):
    for label, name in enumerate(("cats", "dogs")):
        for i in range(count):
            png(f"{sys.argv[1]}/{split}/{name}/{i:02}.png", 40 + 120 * label + i)
PYTHON
  photos=(--set data.format=image_folder --set "data.root=$1" --set data.channels=3 --set model.in_channels=3
    --set 'data.mean=[0.5,0.5,0.5]' --set 'data.std=[0.2,0.2,0.2]'
    --set 'data.train_transforms=[{random_resized_crop: {size: 8}}, flip]'
    --set 'data.eval_transforms=[{resize: {size: 8}}, {center_crop: 8}]')
}

# compare_runs ONE MANY [WEIGHTS LOSS]: weights of the model and of its average, losses step by step and evaluation differ
# by at most so much. The default: ten steps of AdamW with a learning rate of 3e-3, which takes a tiny gradient for a
# large one.
compare_runs() {
  python3 - "$@" <<'PYTHON'
import array, json, struct, sys
def tensors(run):
    with open(f"{run}/checkpoints/last.safetensors", "rb") as f:
        header = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
        data = f.read()
    header.pop("__metadata__")
    for name, entry in header.items():
        assert entry["dtype"] == "F32", (name, entry)
        begin, end = entry["data_offsets"]
        yield name, array.array("f", data[begin:end])
def lines(run):
    return [json.loads(line) for line in open(f"{run}/metrics.jsonl")]
one, many = sys.argv[1:3]
weight_limit, loss_limit = (float(x) for x in (sys.argv[3:5] or (2e-4, 1e-4)))
weights = dict(tensors(many))
for name, values in tensors(one):
    worst = max(abs(a - b) for a, b in zip(values, weights.pop(name), strict=True))
    assert worst <= weight_limit, (name, worst)
assert not weights, weights.keys()
for a, b in zip(lines(one), lines(many), strict=True):
    assert a.keys() == b.keys()
    for key in a:
        if key not in ("seconds", "images_per_second"):
            limit = loss_limit * (100 if "top" in key else 1)
            assert a[key] == b[key] or abs(a[key] - b[key]) <= limit, (key, a, b)
PYTHON
}
