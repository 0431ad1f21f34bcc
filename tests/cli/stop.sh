# SIGTERM and SIGINT: the step is finished, the state saved, the exit code 128 + signal; --resume goes on.
source "$(dirname "$0")/common.sh" "$1"
make_idx "$scratch/data"
make_config "$scratch/c.yaml"
train() { exec "$bin/vim-train" --config "$scratch/c.yaml" --set train.epochs=2000 --output "$scratch/run" "$@"; }

set -m  # background jobs get their own process group, and with it a SIGINT that is not ignored
for signal in TERM:143 INT:130; do
  rm -f "$scratch/out"  # its lines are those of the run before
  (train --resume) >"$scratch/out" 2>&1 &
  pid=$!
  for ((i = 0; i < 300; ++i)); do
    grep -qs 'epoch .*: loss' "$scratch/out" && break
    sleep 0.1
  done
  kill -"${signal%:*}" "$pid"
  code=0
  wait "$pid" || code=$?
  [ "$code" = "${signal#*:}" ] || { cat "$scratch/out"; fail "exit code $code after SIG${signal%:*}"; }
  says "go on with --resume"
done
says "resuming from"
