# Training over a network: two network namespaces with a cable between them, as two machines whose own names mean
# 127.0.1.1, as Debian's installer writes it. Needs root; skipped elsewhere.
#   bash network.sh BIN [RANKS]     # an even number; 4 by default
source "$(dirname "$0")/common.sh" "$1"
ranks=${2:-4}
half=$((ranks / 2))
one="vim$$a" two="vim$$b"
clean_up() {
  kill $(jobs -p) 2>/dev/null || true
  ip netns del $one 2>/dev/null || true
  ip netns del $two 2>/dev/null || true
  rm -rf "$scratch"
}
trap clean_up EXIT
if [ "$(id -u)" != 0 ] || ! command -v ip >/dev/null || ! ip netns add $one 2>/dev/null; then
  echo "skipped: network namespaces need root, and the command ip"
  exit 77
fi
ip netns add $two
ip link add $one netns $one type veth peer name $two netns $two
ip -n $one address add 10.213.0.1/24 dev $one
ip -n $two address add 10.213.0.2/24 dev $two
for space in $one $two; do
  ip -n $space link set lo up
  ip -n $space link set $space up
done
printf '%s\n' "127.0.0.1 localhost" "127.0.1.1 $(hostname)" "10.213.0.1 node1" "10.213.0.2 node2" >"$scratch/hosts"

make_idx "$scratch/data"
make_config "$scratch/c.yaml"
common=(--config "$scratch/c.yaml" --set model.drop_path_rate=0 --set train.log_every_steps=1)

# start NAME VARIABLE...: half of the ranks on each side; @ is the rank, % the local rank, # the node.
start() {
  local name=$1 rank space variables
  shift
  pids=()
  for ((rank = 0; rank < ranks; ++rank)); do
    space=$one
    ((rank < half)) || space=$two
    variables=("${@//@/$rank}")
    variables=("${variables[@]//%/$((rank % half))}")
    ip netns exec $space sh -c 'mount --bind "$0" /etc/hosts && exec env "$@"' "$scratch/hosts" "${variables[@]}" \
      "$bin/vim-train" "${common[@]}" --set train.epochs="$epochs" --set data.batch_size=$((48 / ranks)) \
      --output "$scratch/$name" >"$scratch/$name.$rank" 2>&1 &
    pids+=($!)
  done
}
# finish NAME CODE: all of them end with it.
finish() {
  local pid code
  for pid in "${pids[@]}"; do
    code=0
    wait "$pid" || code=$?
    cat "$scratch/$1".* >"$scratch/out"
    [ $code = "$2" ] || { cat "$scratch/out"; fail "$1: exit code $code instead of $2"; }
  done
}

epochs=2
expect 0 "$bin/vim-train" "${common[@]}" --set train.epochs=2 --set data.batch_size=48 --output "$scratch/one"
torchrun=(RANK=@ LOCAL_RANK=% WORLD_SIZE=$ranks LOCAL_WORLD_SIZE=$half MASTER_ADDR=node1 MASTER_PORT=29500)
start torchrun "${torchrun[@]}"
finish torchrun 0
says "started by torchrun: $ranks processes, meeting at node1:29500"
compare_runs "$scratch/one" "$scratch/torchrun"
start slurm SLURM_JOB_ID=7 SLURM_STEP_ID=0 SLURM_STEP_NUM_TASKS=$ranks SLURM_STEP_NUM_NODES=2 SLURM_PROCID=@ \
  SLURM_LOCALID=% "SLURM_STEP_NODELIST=node[1-2]"
finish slurm 0
says "started by Slurm: $ranks processes, meeting at node1:"
compare_runs "$scratch/one" "$scratch/slurm"
start openmpi OMPI_COMM_WORLD_SIZE=$ranks OMPI_COMM_WORLD_RANK=@ OMPI_COMM_WORLD_LOCAL_RANK=% \
  OMPI_COMM_WORLD_LOCAL_SIZE=$half PMIX_NAMESPACE=7 MASTER_ADDR=node1
finish openmpi 0
compare_runs "$scratch/one" "$scratch/openmpi"

# The cable is pulled out: both sides end, each naming a rank of the other one.
epochs=100000
start cut "${torchrun[@]}"
for ((i = 0; i < 300; ++i)); do
  grep -q ': loss ' "$scratch/cut.0" && break
  sleep 0.1
done
SECONDS=0
ip -n $one link set $one down
finish cut 1
((SECONDS < 30)) || fail "it took $SECONDS s to end"
for ((rank = 0; rank < ranks; ++rank)); do
  other="[$half-$((ranks - 1))]"
  ((rank < half)) || other=0
  ((ranks > 10)) && other="[0-9]*"
  grep -qE "the job ends: rank $other \(host" "$scratch/cut.$rank" || { cat "$scratch/cut.$rank"; fail "rank $rank names none"; }
done
echo "$ranks ranks on two machines; a cut network ended them after $SECONDS s"
