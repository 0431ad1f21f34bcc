# Several processes train what one trains: weights, losses and metrics, under every launcher's environment.
source "$(dirname "$0")/common.sh" "$1"
make_idx "$scratch/data"
make_config "$scratch/c.yaml"
train() {
  "$bin/vim-train" --config "$scratch/c.yaml" --set model.drop_path_rate=0 --set train.epochs=2 \
    --set train.log_every_steps=1 "$@"
}

# A global batch of 12; 160 images leave four over, and 32 evaluation images are unequal shares of three.
expect 0 train --output "$scratch/one" --set data.batch_size=12
for ranks in 2 3 4; do
  expect 0 train --output "$scratch/ranks$ranks" --nproc $ranks --set data.batch_size=$((12 / ranks))
  says "started by --nproc: $ranks processes"
  compare_runs "$scratch/one" "$scratch/ranks$ranks"
done
expect 0 train --output "$scratch/accumulated" --nproc 2 --set data.batch_size=3 --set train.accumulation=2
compare_runs "$scratch/one" "$scratch/accumulated"
expect 0 train --output "$scratch/bf16" --nproc 2 --set data.batch_size=6 --set dist.bf16_gradients=true

# The learning rate follows the global batch.
expect 0 train --dry-run --output "$scratch/x" --nproc 2 --set optim.lr_base_batch=64
says "global batch    32 images (16 x 1 accumulated x 2 processes)"
says "0.0015 at the peak"

# Each rank by hand, as torchrun, mpirun and srun set its environment; port 0 of the first is not known to the others.
port=$((20000 + $$ % 10000))
common=(--config "$scratch/c.yaml" --set model.drop_path_rate=0 --set train.epochs=2 --set data.batch_size=6)
ranks() {  # ranks NAME TORCHRUN-LIKE-VARIABLE...: starts rank 0 and 1 with @ as the rank
  local name=$1 codes=() pids=() rank
  shift
  for rank in 0 1; do
    (cd "${places[$rank]:-.}" && exec env "${@//@/$rank}" "$bin/vim-train" "${common[@]}" --output "$scratch/$name" \
      ${extra[$rank]:-}) >"$scratch/$name.$rank" 2>&1 &
    pids+=($!)
  done
  codes=()
  for rank in 0 1; do
    wait "${pids[$rank]}" && codes+=(0) || codes+=($?)
  done
  cat "$scratch/$name".[01] >"$scratch/out"
  echo "${codes[*]}" >"$scratch/codes"
}
torchrun=(RANK=@ LOCAL_RANK=@ WORLD_SIZE=2 LOCAL_WORLD_SIZE=2 MASTER_ADDR=localhost MASTER_PORT=$port)
extra=() places=()
ranks torchrun "${torchrun[@]}"
says "started by torchrun: 2 processes, meeting at localhost:$port"
compare_runs "$scratch/one" "$scratch/torchrun"
ranks openmpi OMPI_COMM_WORLD_SIZE=2 OMPI_COMM_WORLD_RANK=@ OMPI_COMM_WORLD_LOCAL_RANK=@ \
  OMPI_COMM_WORLD_LOCAL_SIZE=2 PMIX_NAMESPACE=$$
says "started by Open MPI"
compare_runs "$scratch/one" "$scratch/openmpi"
ranks slurm SLURM_JOB_ID=$$ SLURM_STEP_ID=0 SLURM_STEP_NUM_TASKS=2 SLURM_STEP_NUM_NODES=1 SLURM_PROCID=@ \
  SLURM_LOCALID=@ SLURM_STEP_NODELIST=localhost
says "started by Slurm"
compare_runs "$scratch/one" "$scratch/slurm"

# Ranks that are not alike do not start, and say why.
extra=("" "--set optim.lr=4e-3")
ranks unlike "${torchrun[@]}"
says "rank 1 (host $(hostname)"
says "its configuration differs from that of rank 0: optim.lr is '0.004' here and '0.003' there"
[ "$(cat "$scratch/codes")" = "1 1" ] || fail "exit codes $(cat "$scratch/codes")"
[ ! -e "$scratch/unlike" ] || fail "it started"

# So do ranks whose data look alike, and are not: each has a copy in its own working folder, one with another label.
extra=()
for rank in 0 1; do
  mkdir -p "$scratch/place$rank"
  cp -r "$scratch/data" "$scratch/place$rank/"
done
printf '\1' | dd of="$scratch/place1/data/train-labels-idx1-ubyte" bs=1 seek=8 conv=notrunc status=none
common+=(--set data.root=data)
places=("$scratch/place0" "$scratch/place1")
ranks other_data "${torchrun[@]}"
places=()
says "its data differs from that of rank 0: hash of 16 images is"
[ "$(cat "$scratch/codes")" = "1 1" ] || fail "exit codes $(cat "$scratch/codes")"

# SIGTERM to one rank stops both after the same step, with a checkpoint; another number of processes goes on from it.
long=(--config "$scratch/c.yaml" --set model.drop_path_rate=0 --set train.epochs=2000 --output "$scratch/stopped" --resume)
"$bin/vim-train" "${long[@]}" --set data.batch_size=6 --nproc 2 >"$scratch/out" 2>&1 &
launcher=$!
for ((i = 0; i < 300; ++i)); do
  grep -q 'epoch .*: loss' "$scratch/out" && break
  sleep 0.1
done
kill -TERM "$(pgrep -P $launcher | tail -1)"
code=0
wait $launcher || code=$?
[ $code = 143 ] || { cat "$scratch/out"; fail "exit code $code after SIGTERM to one rank"; }
[ "$(grep -o 'stopped by signal 15 after step [0-9]*' "$scratch/out" | sort -u | wc -l)" = 1 ] &&
  [ "$(grep -c 'stopped by signal 15' "$scratch/out")" = 2 ] || { cat "$scratch/out"; fail "not both at one step"; }
epoch=$(tail -1 "$scratch/stopped/metrics.jsonl" | python3 -c 'import json, sys; print(json.load(sys.stdin)["epoch"] + 1)')
expect 0 "$bin/vim-train" "${long[@]}" --set data.batch_size=4 --nproc 3 --set train.epochs="$epoch"
says "resuming from $scratch/stopped/checkpoints/last.safetensors"
says "written by 2 processes, now there are 3"
expect 1 "$bin/vim-train" "${long[@]}" --set data.batch_size=8 --nproc 3 --set train.epochs=$((epoch + 1))
says "the global batch (data.batch_size x train.accumulation x processes)"

# Evaluation in three processes counts every image once.
checkpoint=$scratch/one/checkpoints/last.safetensors
"$bin/vim-eval" --checkpoint "$checkpoint" --weights model >"$scratch/alone" 2>/dev/null || fail "vim-eval"
for rank in 0 1 2; do
  env RANK=$rank LOCAL_RANK=$rank WORLD_SIZE=3 MASTER_ADDR=localhost MASTER_PORT=$port \
    "$bin/vim-eval" --checkpoint "$checkpoint" --weights model >"$scratch/eval.$rank" 2>/dev/null &
done
wait
same_file "$scratch/alone" "$scratch/eval.0"
[ ! -s "$scratch/eval.1" ] || fail "rank 1 printed a result"

# What is wrong with an environment.
expect 2 env WORLD_SIZE=2 "$bin/vim-train" "${common[@]}" --output "$scratch/x"
says "the environment is that of torchrun but lacks RANK"
expect 2 env RANK=0 WORLD_SIZE=two "$bin/vim-train" "${common[@]}" --output "$scratch/x"
says "WORLD_SIZE='two'"
expect 2 env RANK=2 WORLD_SIZE=2 "$bin/vim-train" "${common[@]}" --output "$scratch/x"
says "RANK='2', and a whole number from 0 to 1 is expected"
expect 2 env "${torchrun[@]//@/0}" "$bin/vim-train" "${common[@]}" --output "$scratch/x" --nproc 2
says "--nproc: a launcher"
expect 2 train --nproc 0
expect 2 train --nproc many
