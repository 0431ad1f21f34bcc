# A run that is killed with SIGKILL at random moments and resumed ends in the same bits as one that was left alone:
# with the average, accumulation, stochastic depth, mixup, CutMix, erasing and two workers.
#   bash resume.sh BIN [KILLS [OPTION...]]     (ctest: 20; a long run: 1000, about 40 minutes)
# OPTIONs go to vim-train: --set device=cuda --set train.precision=bf16.
source "$(dirname "$0")/common.sh" "$1"
wanted=${2:-20}
options=("${@:3}")
kills_a_run=6
make_idx "$scratch/data"
make_config "$scratch/c.yaml"
train() {
  exec "$bin/vim-train" --config "$scratch/c.yaml" --set train.epochs=20 --set checkpoint.every_steps=1 \
    --set train.accumulation=2 --set checkpoint.keep_every_epochs=5 --set data.mixing.mixup_alpha=0.8 \
    --set data.mixing.cutmix_alpha=1 --set data.erasing.p=0.25 "${options[@]}" "$@"
}

start=$(date +%s%N)
(train --output "$scratch/alone") 2>/dev/null
alone_ms=$((($(date +%s%N) - start) / 1000000))
seed=${VIM_TEST_SEED:-$RANDOM}
echo "seed: VIM_TEST_SEED=$seed"
RANDOM=$seed
kills=0 runs=0 writing=0
while ((kills < wanted)); do
  rm -rf "$scratch/killed"
  # While starting, training or saving.
  for ((i = 0; i < kills_a_run && kills < wanted; ++i)); do
    touch "$scratch/started"
    (train --output "$scratch/killed" --resume) >/dev/null 2>&1 &
    pid=$!
    delay_ms=$((50 + RANDOM % alone_ms * 2 / 3))
    sleep "$(printf '%d.%03d' $((delay_ms / 1000)) $((delay_ms % 1000)))"
    alive=1
    kill -9 "$pid" 2>/dev/null || alive=0
    wait "$pid" 2>/dev/null || true
    [ $alive = 1 ] || break
    kills=$((kills + 1))
    [ -z "$(find "$scratch/killed" -name '*.tmp' -newer "$scratch/started" 2>/dev/null)" ] || writing=$((writing + 1))
  done
  (train --output "$scratch/killed" --resume) >"$scratch/out" 2>&1 || { cat "$scratch/out" >&2; fail "a resumed run failed"; }
  for name in last best epoch_0010; do
    same_file "$scratch/alone/checkpoints/$name.safetensors" "$scratch/killed/checkpoints/$name.safetensors"
  done
  runs=$((runs + 1))
done
echo "$runs runs, $kills kills, $writing of them while a file was being written, all equal"
