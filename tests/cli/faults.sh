# A rank that is killed, stopped or throws ends all of them within 30 seconds, by name and with a cause; the last
# checkpoint is good, and the same command line goes on from it.
#   bash faults.sh BIN [ROUNDS]
# Up to VIM_TEST_RANKS ranks (4: the GPUs of a machine that has some), disturbed after VIM_TEST_EPOCHS epochs (1).
source "$(dirname "$0")/common.sh" "$1"
rounds=${2:-3}
make_photos "$scratch/photos"
make_config "$scratch/c.yaml"
seed=${VIM_TEST_SEED:-$RANDOM}
echo "seed: VIM_TEST_SEED=$seed"
RANDOM=$seed
run=$scratch/run

# The process of a rank among the children of the launcher.
rank_process() {
  local pid
  for pid in $(pgrep -P "$1"); do
    if tr '\0' '\n' <"/proc/$pid/environ" | grep -x "RANK=$2" >/dev/null; then echo "$pid"; fi
  done
}
wait_for_epochs() {
  local i
  for ((i = 0; i < 300; ++i)); do
    (($(grep -c ": loss " "$scratch/out") >= $1)) && return
    sleep 0.1
  done
  cat "$scratch/out" >&2
  fail "it does not train"
}

for ((round = 0; round < rounds; ++round)); do
  world=$((2 + RANDOM % (${VIM_TEST_RANKS:-4} - 1))) kind=$((round % 3))
  victim=$((RANDOM % world))
  "$bin/vim-train" --config "$scratch/c.yaml" "${photos[@]}" --set data.batch_size=$((12 / world)) --set train.epochs=100000 \
    --set checkpoint.every_steps=2 --output "$run" --resume --nproc $world >"$scratch/out" 2>&1 &
  launcher=$!
  broken=$scratch/photos/train/cats/0$((RANDOM % 10)).png
  cp "$broken" "$scratch/whole.png"
  wait_for_epochs "${VIM_TEST_EPOCHS:-1}"
  sleep 0.$((RANDOM % 10))
  ranks=$(pgrep -P $launcher)
  pid=$(rank_process $launcher $victim)
  start=$(date +%s%N)
  case $kind in
    0) kill -KILL "$pid"; what="killed" ;;
    1) kill -STOP "$pid"; what="stopped" ;;
    2) echo "not an image" >"$broken"; what="broken image" victim="[0-9]" ;;
  esac
  code=0
  wait $launcher || code=$?
  cp "$scratch/whole.png" "$broken"
  seconds=$((($(date +%s%N) - start) / 1000000000))
  [ $code != 0 ] || fail "$what: exit code 0"
  [ $seconds -lt 30 ] || { cat "$scratch/out"; fail "$what: took $seconds s"; }
  for process in $ranks; do
    [ ! -e "/proc/$process" ] || fail "$what: process $process is left"
  done
  grep -qE "(the job ends: )?rank $victim( \(host|.* was killed)" "$scratch/out" ||
    { cat "$scratch/out"; fail "$what: rank $victim of $world is not named"; }
  "$bin/vim-eval" --checkpoint "$run/checkpoints/last.safetensors" >/dev/null || fail "$what: no good checkpoint"
  [ $kind != 2 ] || says "$broken"
  echo "round $round: rank $victim of $world $what: over after $seconds s, exit code $code"
done
