# Losses and gradients that are not finite: the run stops or leaves the step out, and a dump tells which tensor went
# wrong first.
source "$(dirname "$0")/common.sh" "$1"
make_idx "$scratch/data"
make_config "$scratch/c.yaml"
cd "$scratch"
train() { "$bin/vim-train" --config c.yaml "$@"; }
replay() { expect 0 "$bin/vim-train" --replay "$@"; }

# A weight that is not a number.
expect 0 train --output start --set train.epochs=1
expect 0 "$bin/vim-convert" extract start/checkpoints/last.safetensors weights.safetensors --weights model
python3 - weights.safetensors layers.1.mixer.in_proj.weight <<'PYTHON'
import json, struct, sys
with open(sys.argv[1], "r+b") as f:
    size = struct.unpack("<Q", f.read(8))[0]
    f.seek(8 + size + json.loads(f.read(size))[sys.argv[2]]["data_offsets"][0] + 40)
    f.write(struct.pack("<f", float("nan")))
PYTHON
expect 1 train --output poisoned --set model.init_from=weights.safetensors
says "step 1: the loss is nan; vim-train --replay poisoned/dumps/step_00000001.safetensors shows why"
replay poisoned/dumps/step_00000001.safetensors
says "the first tensor that went wrong: the weight layers.1.mixer.in_proj.weight, float32 [64, 16], with 1 values"
expect 1 train --output poisoned --set model.init_from=weights.safetensors --overwrite --set train.max_skipped_steps=7
says "(7 of at most 7 steps so far)"
says "step 8: the loss is nan"
[ "$(ls poisoned/dumps | wc -l)" = 3 ] || fail "not three dumps"

# A step so large that the next one overflows.
expect 1 train --output steep --set optim.lr=1e30 --set optim.clip_grad=0 --set train.log_every_steps=4
says "step 2: the loss is nan, and 2 more since then went wrong"
replay steep/dumps/step_00000002.safetensors
says "the first tensor that went wrong: the output of"

# One image of infinite values, in every epoch in another batch: left out, and training goes on.
python3 - data/train-images-idx3-ubyte data/t10k-images-idx3-ubyte <<'PYTHON'
import sys
for path in sys.argv[1:]:
    with open(path, "r+b") as f:
        header = f.read(16)
        size = len(f.read())
        f.seek(16)
        f.write(bytes(size))
        if "train" in path:
            f.seek(16 + 64 * 77)
            f.write(bytes([255] * 64))
PYTHON
bright=(--set 'data.mean=[0]' --set 'data.std=[1e-40]' --set 'data.train_transforms=[flip]')
expect 0 train --output bright "${bright[@]}" --set train.max_skipped_steps=3 --set train.log_every_steps=3
says "skipped (3 of at most 3 steps so far)"
grep '"kind":"epoch"' bright/metrics.jsonl | tail -1 | grep -q '"skipped_steps":3' || fail "not three skipped steps"
! grep '"kind":"epoch"' bright/metrics.jsonl | grep -q 'null' || fail "the mean loss holds a skipped step's"
expect 0 "$bin/vim-convert" verify bright/checkpoints/last.safetensors
! grep -q "NOT FINITE" "$scratch/out" || fail "the weights are not finite"
for dump in bright/dumps/*; do
  replay "$dump"
  says "the first tensor that went wrong: input 0, float32 [16, 1, 8, 8], with 64 values"
done
expect 1 train --output few "${bright[@]}" --set train.max_skipped_steps=1
says "train.max_skipped_steps above 1"

# Two processes: the dump holds the batch of the one that it belongs to.
expect 0 train --output two "${bright[@]}" --set train.max_skipped_steps=3 --set data.batch_size=8 --nproc 2
for dump in two/dumps/*; do
  replay "$dump"
  says " of 2: loss nan"
  says "the first tensor that went wrong: input 0, float32 [8, 1, 8, 8], with 64 values"
done
[ "$(ls two/dumps | wc -l)" = 3 ] || fail "not three dumps of two processes"

# Statistics on request.
expect 0 train --output statistics --set train.epochs=1 --set train.statistics_every_steps=4 --set train.accumulation=2
python3 - statistics/metrics.jsonl <<'PYTHON'
import json, sys
records = [json.loads(line) for line in open(sys.argv[1])]
found = [r for r in records if r["kind"] == "statistics"]
assert [r["step"] for r in found] == [4], found
for section in ("outputs", "output_gradients"):
    for layer in ("patch_embed.proj", "layers.0.mixer.in_proj", "layers.1.norm", "head"):
        assert found[0][section][layer]["not_finite"] == 0, (section, layer)
assert "layers.1.mixer.A_b_log" in found[0]["weight_gradients"]
PYTHON

expect 1 "$bin/vim-train" --replay start/checkpoints/last.safetensors
says "not a dump of vim-train"
