#!/usr/bin/env bash
# The part of bundle.sh for a machine with two GPUs or more: training in several processes over NCCL, the same as in one,
# as fast as it should be, and over when one of them fails. Prints PASS or FAIL for each, in under four minutes; logs
# and results go to $OUT (default: results beside this script).
#
#   bash run_ranks.sh LIBTORCH [CHECK...]     # checks: those of the list at the end
bundle=$(realpath "$(dirname "$0")")
export LD_LIBRARY_PATH=${1:?usage: bash run_ranks.sh LIBTORCH [CHECK...]}/lib:$bundle/lib
shift
export OMP_WAIT_POLICY=passive NCCL_DEBUG=${NCCL_DEBUG:-WARN}
results=${OUT:-$bundle/results}
mkdir -p "$results"
source "$bundle/cli/common.sh" "$bundle/bin"
set +e

# Where procps is missing.
if ! command -v pgrep >/dev/null; then
  pgrep() {  # -P PARENT
    local stat
    for stat in /proc/[0-9]*/stat; do
      stat=$(cat "$stat" 2>/dev/null) && [[ $(cut -d' ' -f2 <<<"${stat##*) }") == "$2" ]] && echo "${stat%% *}"
    done
  }
  export -f pgrep
fi

make_idx "$scratch/data"
make_config "$scratch/c.yaml"
# Two epochs of 13 steps with a global batch of 12: the step is recorded in the twelfth.
train() {
  timeout -k 5 90 "$bin/vim-train" --config "$scratch/c.yaml" --set train.epochs=2 --set train.log_every_steps=1 "$@"
}
same=(--set model.drop_path_rate=0)
two=(--nproc 2 --set data.batch_size=6)

fp32() {
  expect 0 train "${same[@]}" --output "$scratch/one" --set data.batch_size=12
  expect 0 train "${same[@]}" --output "$scratch/two" "${two[@]}"
  says "started by --nproc: 2 processes"
  compare_runs "$scratch/one" "$scratch/two" 1e-3 1e-3
  expect 0 train "${same[@]}" --output "$scratch/accumulated" --nproc 2 --set data.batch_size=3 --set train.accumulation=2
  compare_runs "$scratch/one" "$scratch/accumulated" 1e-3 1e-3
}
bf16() {
  expect 0 train "${same[@]}" --output "$scratch/one16" --set data.batch_size=12 --set train.precision=bf16
  expect 0 train "${same[@]}" --output "$scratch/two16" "${two[@]}" --set train.precision=bf16
  compare_runs "$scratch/one16" "$scratch/two16" 5e-2 5e-2
  expect 0 train "${same[@]}" --output "$scratch/gradients16" "${two[@]}" --set dist.bf16_gradients=true
  compare_runs "$scratch/two16" "$scratch/gradients16" 5e-2 5e-2
}
recorded() {  # the same bits, with drop path and clipping
  local key
  for key in train.precision=fp32 train.precision=bf16 dist.bf16_gradients=true dist.reducer=c10d; do
    expect 0 train --output "$scratch/recorded.$key" "${two[@]}" --set $key
    expect 0 train --output "$scratch/unrecorded.$key" "${two[@]}" --set $key --set train.cuda_graph=false
    compare_runs "$scratch/recorded.$key" "$scratch/unrecorded.$key" 0 0
  done
}
unused_parameters_looked_for() {
  expect 0 train "${same[@]}" --output "$scratch/unused" "${two[@]}" --set dist.find_unused_parameters=true
  compare_runs "$scratch/two" "$scratch/unused" 1e-3 1e-3
}
resume() {
  expect 0 train "${same[@]}" --output "$scratch/resumed" "${two[@]}"
  expect 0 train "${same[@]}" --output "$scratch/resumed" --resume --set data.batch_size=12 --set train.epochs=3
  says "written by 2 processes, now there are 1"
  expect 0 train "${same[@]}" --output "$scratch/resumed" --resume "${two[@]}" --set train.epochs=4
  says "written by 1 processes, now there are 2"
}
torchrun() {
  expect 0 timeout -k 5 90 python3 -m torch.distributed.run --standalone --nproc-per-node 2 --no-python "$bin/vim-train" \
    --config "$scratch/c.yaml" --set train.epochs=2 --set train.log_every_steps=1 "${same[@]}" \
    --set data.batch_size=6 --output "$scratch/torchrun"
  says "started by torchrun: 2 processes"
  compare_runs "$scratch/two" "$scratch/torchrun" 0 0
}
start_up() {  # to the end of the first step
  local start seconds
  start=$(date +%s%N)
  train --output "$scratch/start" "${two[@]}" >"$scratch/out" 2>&1 &
  until [[ -s $scratch/start/metrics.jsonl ]]; do
    kill -0 $! || fail "it does not start"
    sleep 0.05
  done
  seconds=$(($(date +%s%N) - start))
  wait
  echo "start-up of 2 ranks to the end of the first step: $((seconds / 1000000)) ms"
  ((seconds < 5000000000)) || fail "more than 5 s"
}
faults() {  # killed, stopped, an image that cannot be read: after the step is recorded
  VIM_TEST_RANKS=2 VIM_TEST_EPOCHS=6 bash "$bundle/cli/faults.sh" "$bin" 4
}
fashion_mnist() {
  local processes options=(--config "$bundle/configs/fashion_mnist_gpu.yaml" --set "data.root=$bundle/fashion-mnist"
    --set train.epochs=3)
  [[ -d $bundle/fashion-mnist ]] || { echo "no data"; return 0; }
  for processes in 1 2; do
    expect 0 timeout -k 5 120 "$bin/vim-train" "${options[@]}" --nproc $processes \
      --set data.batch_size=$((512 / processes)) --output "$scratch/fashion$processes"
    grep ': loss ' "$scratch/out"
  done
  python3 - "$scratch"/fashion{1,2}/metrics.jsonl <<'PYTHON'
import json, sys
one, two = ([json.loads(line) for line in open(path)][-1] for path in sys.argv[1:3])
assert abs(one["top1"] - two["top1"]) < 2, (one, two)
PYTHON
}
bench() {  # 1.95 times the images of one GPU
  local key options=(--set data.root=/nowhere --set ema.enabled=true --set train.precision=bf16 --batch 128 --seconds 3)
  timeout -k 5 120 "$bin/vim-bench" ddp --config "$bundle"/configs/vim_{tiny,small}.yaml "${options[@]}" \
    --json "$results/ddp.json" || fail "vim-bench ddp"
  for key in dist.reducer=c10d train.cuda_graph=false; do
    echo "$key"
    timeout -k 5 60 "$bin/vim-bench" ddp --config "$bundle/configs/vim_tiny.yaml" "${options[@]}" \
      --set $key --json "$results/ddp_$key.json" || fail "vim-bench ddp, $key"
  done
  python3 - "$results/ddp.json" <<'PYTHON'
import json, sys
for result in json.load(open(sys.argv[1])):
    assert result["efficiency"] >= 1.95 / 2, result
PYTHON
}

failed=0
checks=(fp32 bf16 recorded unused_parameters_looked_for resume torchrun start_up bench fashion_mnist faults)
for check in "${@:-${checks[@]}}"; do
  SECONDS=0
  (set -e; "$check") >"$results/ranks_$check.log" 2>&1
  code=$?
  case $code in
    0) echo "PASS $check ($SECONDS s)" ;;
    *) failed=1; echo "FAIL $check ($SECONDS s)"; tail -25 "$results/ranks_$check.log" | cut -c 1-300 ;;
  esac
  case $check in start_up | bench | fashion_mnist | faults) ((code)) || cat "$results/ranks_$check.log" ;; esac
done
exit $failed
