# A rank that is killed, stopped or throws ends all of them within 30 seconds, by name and with a cause; the last
# checkpoint is good, and the same command line goes on from it.
#   bash faults.sh BIN [ROUNDS]
# Up to VIM_TEST_RANKS ranks (4: the GPUs of a machine that has some), disturbed after VIM_TEST_EPOCHS epochs (1).
source "$(dirname "$0")/common.sh" "$1"
rounds=${2:-4}
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

# start WORLD [apart]: the job in the background; jobs are the processes to wait for. Apart: each rank by hand, with a copy
# of the images for itself in a folder of its own.
start() {
  local world=$1 rank port=$((20000 + RANDOM % 10000)) options=(--config "$scratch/c.yaml" "${photos[@]}"
    --set data.batch_size=$((12 / $1)) --set train.epochs=100000 --set checkpoint.every_steps=2 --output "$run" --resume)
  jobs=()
  : >"$scratch/out"
  if [ "${2:-}" != apart ]; then
    "$bin/vim-train" "${options[@]}" --nproc "$world" >>"$scratch/out" 2>&1 &
    jobs=($!)
    return
  fi
  for ((rank = 0; rank < world; ++rank)); do
    rm -rf "$scratch/apart$rank"
    mkdir "$scratch/apart$rank"
    cp -r "$scratch/photos" "$scratch/apart$rank/"
    (cd "$scratch/apart$rank" && exec env RANK=$rank LOCAL_RANK=$rank WORLD_SIZE="$world" LOCAL_WORLD_SIZE="$world" \
      MASTER_ADDR=localhost MASTER_PORT=$port "$bin/vim-train" "${options[@]}" --set data.root=photos) \
      >>"$scratch/out" 2>&1 &
    jobs+=($!)
  done
}

worst=0
for ((round = 0; round < rounds; ++round)); do
  world=$((2 + RANDOM % (${VIM_TEST_RANKS:-4} - 1))) kind=$((round % 4))
  victim=$((RANDOM % world)) named=$victim
  start $world "$([ $kind != 3 ] || echo apart)"
  broken=$scratch/photos/train/cats/0$((RANDOM % 10)).png
  cp "$broken" "$scratch/whole.png"
  wait_for_epochs "${VIM_TEST_EPOCHS:-1}"
  sleep 0.$((RANDOM % 10))
  ranks="${jobs[*]} $(pgrep -P "${jobs[0]}" || true)"
  start=$(date +%s%N)
  case $kind in
    0) kill -KILL "$(rank_process "${jobs[0]}" $victim)"; what="was killed" ;;
    1) kill -STOP "$(rank_process "${jobs[0]}" $victim)"; what="was stopped" ;;
    2) echo "not an image" >"$broken"; what="found a broken image" named="[0-9]" ;;
    3) for image in "$scratch/apart$victim"/photos/train/*/*; do rm "$image"; done; what="threw" ;;
  esac
  codes=()
  for process in "${jobs[@]}"; do
    wait "$process" && codes+=(0) || codes+=($?)
  done
  cp "$scratch/whole.png" "$broken"
  seconds=$((($(date +%s%N) - start) / 1000000000))
  worst=$((seconds > worst ? seconds : worst))
  [[ ! " ${codes[*]} " =~ " 0 " ]] || { cat "$scratch/out"; fail "rank $victim $what: exit codes ${codes[*]}"; }
  [ $seconds -lt 30 ] || { cat "$scratch/out"; fail "rank $victim $what: it took $seconds s"; }
  for process in $ranks; do
    [ ! -e "/proc/$process" ] || fail "rank $victim $what: process $process is left"
  done
  grep -qE "(the job ends: )?rank $named( \(host|.* was killed)" "$scratch/out" ||
    { cat "$scratch/out"; fail "rank $victim of $world $what, and is not named"; }
  checkpoint=$run/checkpoints/last.safetensors
  [ -e "$checkpoint" ] || checkpoint=$run/checkpoints/next.safetensors  # caught while taking the other's place
  "$bin/vim-eval" --checkpoint "$checkpoint" --set "data.root=$scratch/photos" >/dev/null ||
    fail "rank $victim $what: no good checkpoint"
  [ $kind != 2 ] || says "$broken"
  [ $kind != 3 ] || says "photos/train/"
  echo "round $round: rank $victim of $world $what: over after $seconds s, exit code ${codes[*]}"
done
echo "$rounds rounds, $worst s at most"
