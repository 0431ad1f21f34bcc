# The launchers of clusters, where they are installed: torchrun (VIM_TORCHRUN names it where it is in no folder of PATH)
# and Open MPI's mpirun. They start the program as they start any other; a killed rank ends the job.
source "$(dirname "$0")/common.sh" "$1"
torchrun=$(command -v "${VIM_TORCHRUN:-torchrun}" || true)
mpirun=$(command -v mpirun || true)
if [ -z "$torchrun$mpirun" ]; then
  echo "skipped: neither torchrun nor mpirun is installed"
  exit 77
fi
make_idx "$scratch/data"
make_config "$scratch/c.yaml"
job=("$bin/vim-train" --config "$scratch/c.yaml" --set train.log_every_steps=1 --set data.batch_size=6)
expect 0 "${job[@]}" --set train.epochs=2 --output "$scratch/own" --nproc 2

# try NAME LOG COMMAND...: the same run as that of --nproc; then one whose rank 1 is killed, and which goes on afterwards.
try() {
  local name=$1 said=$2 launcher code=0 pid
  shift 2
  expect 0 "$@" "${job[@]}" --set train.epochs=2 --output "$scratch/$name"
  says "started by $said: 2 processes"
  compare_runs "$scratch/own" "$scratch/$name" 0 0
  : >"$scratch/out"  # of the run before
  "$@" "${job[@]}" --set train.epochs=100000 --output "$scratch/killed.$name" >"$scratch/out" 2>&1 &
  launcher=$!
  for ((i = 0; i < 300; ++i)); do
    grep -q ': loss ' "$scratch/out" && break
    sleep 0.1
  done
  pid=$(pgrep -f -- "--output $scratch/killed.$name" | while read -r pid; do
    tr '\0' '\n' <"/proc/$pid/environ" | grep -qxE '(RANK|OMPI_COMM_WORLD_RANK)=1' && echo "$pid"
  done) || true
  SECONDS=0
  kill -KILL "$pid"
  wait $launcher || code=$?
  [ $code != 0 ] || fail "$name: exit code 0 after a rank was killed"
  ((SECONDS < 30)) || fail "$name: over after $SECONDS s"
  expect 0 "$@" "${job[@]}" --set train.epochs=$(($(grep -c ': loss ' "$scratch/out") + 1)) \
    --output "$scratch/killed.$name" --resume
  says "resuming from"
  echo "$name: killed rank ended the job after $SECONDS s with exit code $code"
}
if [ -n "$torchrun" ]; then try torchrun torchrun "$torchrun" --standalone --nproc-per-node 2 --no-python; fi
if [ -n "$mpirun" ]; then try mpirun "Open MPI" "$mpirun" --allow-run-as-root --oversubscribe -n 2; fi
