# A run that is killed with SIGKILL at random moments and resumed ends in the same bits as one that was left alone.
#   bash resume.sh BIN [KILLED_RUNS]
source "$(dirname "$0")/common.sh" "$1"
runs=${2:-3}
make_idx "$scratch/data"
make_config "$scratch/c.yaml"
train() {
  "$bin/vim-train" --config "$scratch/c.yaml" --set train.epochs=20 --set checkpoint.every_steps=3 \
    --set train.accumulation=2 --set checkpoint.keep_every_epochs=5 "$@"
}

start=$(date +%s%N)
train --output "$scratch/alone" 2>/dev/null
alone_ms=$((($(date +%s%N) - start) / 1000000))
seed=${VIM_TEST_SEED:-$RANDOM}
echo "seed: VIM_TEST_SEED=$seed"
RANDOM=$seed
kills=0
for ((i = 0; i < runs; ++i)); do
  rm -rf "$scratch/killed"
  # Within the time of a whole run: while starting, training or saving, or just after the end.
  for attempt in 1 2 3; do
    train --output "$scratch/killed" --resume >/dev/null 2>&1 &
    pid=$!
    delay_ms=$((200 + RANDOM % alone_ms))
    sleep "$(printf '%d.%03d' $((delay_ms / 1000)) $((delay_ms % 1000)))"
    if kill -9 "$pid" 2>/dev/null; then kills=$((kills + 1)); fi
    wait "$pid" 2>/dev/null || true
  done
  expect 0 train --output "$scratch/killed" --resume
  for name in last best epoch_0010; do
    same_file "$scratch/alone/checkpoints/$name.safetensors" "$scratch/killed/checkpoints/$name.safetensors"
  done
done
echo "$runs runs, $kills kills, all equal"
[ "$kills" -gt 0 ] || fail "nothing was killed"
