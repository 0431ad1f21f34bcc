#!/usr/bin/env bash
# The other half of bundle.sh: on the GPU machine, runs the tests or the benchmarks and prints a summary. Logs and
# results go to $OUT (default: results beside this script).
#
#   bash run.sh LIBTORCH [tests|bench|all]
set -uo pipefail
here=$(realpath "$(dirname "$0")")
export LD_LIBRARY_PATH=${1:?usage: bash run.sh LIBTORCH [tests|bench|all]}/lib:$here/lib
export VIM_FIXTURES=$here/fixtures OMP_WAIT_POLICY=passive
out=${OUT:-$here/results}
mkdir -p "$out"
failed=0

run() {  # NAME COMMAND...
  local name=$1 code=0
  shift
  "$@" >"$out/$name.log" 2>&1 || code=$?
  case $code in
    0) echo "ok       $name" ;;
    77) echo "skipped  $name" ;;
    *) failed=1; echo "FAILED   $name (exit $code)"; grep -E -A12 'FAILED|rror' "$out/$name.log" | head -60 ;;
  esac
}

if [[ ${2:-all} != bench ]]; then
  for module in ops nn train; do run "$module" "$here/bin/test_$module"; done
fi
if [[ ${2:-all} != tests ]]; then
  bench=("$here/bin/vim-bench" --set data.root=/nowhere --set ema.enabled=true)
  vim=("$here/configs/vim_tiny.yaml" "$here/configs/vim_small.yaml")
  deit=("$here/configs/deit_tiny.yaml" "$here/configs/deit_small.yaml")
  run train_bf16 "${bench[@]}" --config "${vim[@]}" "${deit[@]}" --batch 128 --set train.precision=bf16 \
    --json "$out/train_bf16.json"
  run train_fp32 "${bench[@]}" --config "${vim[0]}" --batch 128 --mode train --json "$out/train_fp32.json"
  run latency "${bench[@]}" --config "${vim[0]}" "${deit[0]}" --batch 1 --mode inference \
    --set train.precision=bf16 --json "$out/latency.json"
  run resolution "${bench[@]}" --config "${vim[@]}" "${deit[@]}" --batch 8 --mode inference \
    --image-size 512 640 738 1024 1248 2048 --set train.precision=bf16 --json "$out/resolution.json" \
    --svg "$out/resolution.svg"
  cat "$out"/{train_bf16,train_fp32,latency,resolution}.log
fi
exit $failed
