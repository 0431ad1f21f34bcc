# A run that is killed with SIGKILL at random moments and resumed ends in the same bits as one that was left alone.
#   bash resume.sh BIN [KILLS]     (ctest: 20; a long run: 1000, about 40 minutes)
source "$(dirname "$0")/common.sh" "$1"
wanted=${2:-20}
kills_a_run=6
make_idx "$scratch/data"
make_config "$scratch/c.yaml"
train() {
  exec "$bin/vim-train" --config "$scratch/c.yaml" --set train.epochs=20 --set checkpoint.every_steps=3 \
    --set train.accumulation=2 --set checkpoint.keep_every_epochs=5 "$@"
}

start=$(date +%s%N)
(train --output "$scratch/alone") 2>/dev/null
alone_ms=$((($(date +%s%N) - start) / 1000000))
seed=${VIM_TEST_SEED:-$RANDOM}
echo "seed: VIM_TEST_SEED=$seed"
RANDOM=$seed
kills=0 runs=0
while ((kills < wanted)); do
  rm -rf "$scratch/killed"
  # Within the time of a whole run: while starting, training or saving.
  for ((i = 0; i < kills_a_run && kills < wanted; ++i)); do
    (train --output "$scratch/killed" --resume) >/dev/null 2>&1 &
    pid=$!
    delay_ms=$((100 + RANDOM % alone_ms))
    sleep "$(printf '%d.%03d' $((delay_ms / 1000)) $((delay_ms % 1000)))"
    if kill -9 "$pid" 2>/dev/null; then kills=$((kills + 1)); fi
    wait "$pid" 2>/dev/null || true
  done
  (train --output "$scratch/killed" --resume) >"$scratch/out" 2>&1 || { cat "$scratch/out" >&2; fail "a resumed run failed"; }
  for name in last best epoch_0010; do
    same_file "$scratch/alone/checkpoints/$name.safetensors" "$scratch/killed/checkpoints/$name.safetensors"
  done
  runs=$((runs + 1))
done
echo "$runs runs, $kills kills, all equal"
