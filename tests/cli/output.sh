# What a run leaves, and what it refuses to write over.
source "$(dirname "$0")/common.sh" "$1"
make_idx "$scratch/data"
make_config "$scratch/c.yaml"
run=$scratch/run
train() { "$bin/vim-train" --config "$scratch/c.yaml" --output "$run" "$@"; }

expect 0 train --dry-run
says "parameters"
says "learning rate"
[ ! -e "$run" ] || fail "--dry-run wrote something"

expect 0 train
for file in config.yaml metrics.jsonl checkpoints/last.safetensors checkpoints/best.safetensors; do
  [ -s "$run/$file" ] || fail "no $file"
done
grep -c '"kind":"epoch"' "$run/metrics.jsonl" | grep -qx 3 || fail "not three epochs in metrics.jsonl"
! grep -q $'\r' "$scratch/out" || fail "a progress line in a file"

expect 2 train
says "--resume"

# A finished run is left as it is, even where its data are gone.
cp -rp "$run" "$scratch/finished"
mv "$scratch/data" "$scratch/hidden"
expect 0 train --resume
says "already finished"
mv "$scratch/hidden" "$scratch/data"
diff -r --exclude run.lock "$run" "$scratch/finished" || fail "a finished run was changed"

# One process a folder.
(exec "$bin/vim-train" --config "$scratch/c.yaml" --output "$run" --resume --set train.epochs=1000) >/dev/null 2>&1 &
pid=$!
for ((i = 0; i < 100; ++i)); do
  [ "$(cat "$run/run.lock")" = "$pid" ] && break
  sleep 0.05
done
expect 1 train --resume
says "$run: process $pid is training into this folder"
kill -9 "$pid"
wait "$pid" 2>/dev/null || true
touch "$run/notes.txt"
expect 0 train --overwrite
[ -e "$run/notes.txt" ] || fail "--overwrite removed a file that is not ours"

# Evaluation needs no other file, and agrees with what training measured.
expect 0 "$bin/vim-eval" --checkpoint "$run/checkpoints/last.safetensors" --weights model --json "$scratch/r.json"
says "top1"
python3 - "$run/metrics.jsonl" "$scratch/r.json" <<'PYTHON'
import json, sys
last = [json.loads(line) for line in open(sys.argv[1])][-1]
result = json.load(open(sys.argv[2]))
assert result["top1"] == last["top1"] and abs(result["loss"] - last["loss"]) < 1e-6, (last, result)
PYTHON
expect 0 "$bin/vim-eval" --checkpoint "$run/checkpoints/last.safetensors" --weights ema --data "$scratch/data"
expect 0 train --overwrite --set ema.enabled=false
expect 0 "$bin/vim-eval" --checkpoint "$run/checkpoints/last.safetensors"
expect 2 "$bin/vim-eval" --checkpoint "$run/checkpoints/last.safetensors" --weights ema
says "no averaged weights"

# Checkpoints that are none of ours, or no longer whole.
head -c 2000 "$run/checkpoints/last.safetensors" >"$scratch/cut.safetensors"
expect 1 "$bin/vim-eval" --checkpoint "$scratch/cut.safetensors"
says "cut.safetensors"
expect 1 "$bin/vim-eval" --checkpoint "$run"
says "$run: is a folder; name a file"
echo hello >"$scratch/foreign.pth"
expect 1 "$bin/vim-eval" --checkpoint "$scratch/foreign.pth"
says "foreign.pth"

# No room for a checkpoint (a limit on file sizes stands in for a full disk): an error that names the file, and the
# older checkpoint is still good.
cp "$run/checkpoints/last.safetensors" "$scratch/before.safetensors"
(
  trap '' XFSZ
  ulimit -f 40
  expect 1 train --resume --set train.epochs=5 --set ema.enabled=false
  says "checkpoints/"
  says "cannot write"
)
same_file "$run/checkpoints/last.safetensors" "$scratch/before.safetensors"

# The same, but training goes on; what fails at last is the newest checkpoint.
(
  trap '' XFSZ
  ulimit -f 40
  expect 1 train --resume --set train.epochs=5 --set ema.enabled=false --set checkpoint.on_error=continue
  says "training goes on without this checkpoint"
  says "epoch 5/5: loss"
)
same_file "$run/checkpoints/last.safetensors" "$scratch/before.safetensors"

# A damaged newest checkpoint: the one before it, with a warning.
cp "$run/checkpoints/last.safetensors" "$scratch/before.safetensors"
damage "$run/checkpoints/last.safetensors"
expect 0 train --resume --dry-run --set train.epochs=5 --set ema.enabled=false
says "passed over: $run/checkpoints/last.safetensors: damaged checkpoint"
says "resuming from $run/checkpoints/"
says "changed since the checkpoint was written: train.epochs: 5"
cp "$scratch/before.safetensors" "$run/checkpoints/last.safetensors"
expect 0 train --resume --set train.epochs=5 --set ema.enabled=false
says "resuming from"
