#!/usr/bin/env bash
# The other half of bundle.sh: on the GPU machine, runs the tests and the benchmarks and prints a summary. Logs and
# figures (JSON) go to $OUT (default: results beside this script); exit code 1 where something failed.
#
#   bash run.sh LIBTORCH [--quick] [SECTION...]
#
#   tests       the tests of ops, nn and train, with the fixtures
#   kernels     the kernels of scan, convolution, norm and projections alone, over shapes and options
#   memcheck    compute-sanitizer over samples of both: accesses
#   racecheck   the same: races in shared memory
#   ops         vim-bench ops: every operator, checked, then timed
#   train       vim-bench model: Vim and DeiT, training and inference at 224 px
#   latency     one image
#   resolution  inference up to 2048 px, and the picture
#   deit        compiled DeiT, where Python has torch and timm
#   fashion     the 15 epochs of configs/fashion_mnist_gpu.yaml, which shall end above 90.8 %
#
# All of it takes about eight minutes on an H100; --quick, smaller samples and fewer figures, about three.
set -uo pipefail
usage="usage: bash run.sh LIBTORCH [--quick] [SECTION...]"
sections=(tests kernels memcheck racecheck ops train latency resolution deit fashion)
here=$(realpath "$(dirname "$0")")
libtorch=${1:?$usage}
shift
quick=no
wanted=()
for argument; do
  case " --quick ${sections[*]} " in
    *" $argument "*) ;;
    *) echo "run.sh: there is no section '$argument'; $usage, of: ${sections[*]}" >&2; exit 2 ;;
  esac
  if [[ $argument == --quick ]]; then quick=yes; else wanted+=("$argument"); fi
done
if ((${#wanted[@]} == 0)); then wanted=("${sections[@]}"); fi
export LD_LIBRARY_PATH=$libtorch/lib:$here/lib
export VIM_FIXTURES=$here/fixtures OMP_WAIT_POLICY=passive
out=${OUT:-$here/results}
mkdir -p "$out"
failed=0

# What follows the first argument on the long form, what follows the second on the quick one.
choose() { if [[ $quick == yes ]]; then echo "$2"; else echo "$1"; fi; }

run() {  # NAME COMMAND...; its output goes to a log
  local name=$1 code=0 start=$SECONDS
  shift
  "$@" >"$out/$name.log" 2>&1 || code=$?
  local took=$((SECONDS - start))
  case $code in
    0) echo "ok       $name ($took s)" ;;
    77) echo "partly   $name ($took s), skipped: $(sed -n 's/^skipped: //p' "$out/$name.log" | sort | uniq -c | paste -sd,)" ;;
    124) echo "cut      $name: nothing found in $took s" ;;
    *)
      failed=1
      echo "FAILED   $name (exit $code, $took s)"
      grep -E -A12 'FAILED|WRONG|rror' "$out/$name.log" | head -60
      ;;
  esac
}

run_shown() { run "$@"; if [[ -e $out/$1.log ]]; then cat "$out/$1.log"; fi; }

tests() {
  for module in ops nn train; do run "test_$module" "$here/bin/test_$module"; done
}

kernels() {
  local name
  for name in scan conv norm projections; do run "${name}_kernels" "$here/bin/${name}_cuda" check; done
}

# compute-sanitizer makes kernels up to a hundred times slower: samples, and a limit for each.
sanitize() {  # TOOL
  local tool=$1 limit
  local sanitizer
  sanitizer=$(PATH=$PATH:/usr/local/cuda/bin command -v compute-sanitizer) || {
    echo "skipped  $tool: there is no compute-sanitizer"
    return
  }
  limit=$(choose 50 25)
  local command=(timeout --foreground "$limit" "$sanitizer" --tool "$tool" --error-exitcode 99)
  run "${tool}_scan" "${command[@]}" "$here/bin/scan_cuda" check
  run "${tool}_projections" "${command[@]}" "$here/bin/projections_cuda" profile 1 384 197
  run "${tool}_ops" "${command[@]}" "$here/bin/test_ops" --filenames-as-tags '[#adamw],[#causal_conv1d],[#add_rms_norm]'
  if [[ $quick == no ]]; then
    run "${tool}_mixer" "${command[@]}" "$here/bin/test_nn" --filenames-as-tags '[#fused]'
  fi
}
memcheck() { sanitize memcheck; }
racecheck() { sanitize racecheck; }

ops() {
  local shapes=()
  if [[ $quick == yes ]]; then shapes=(--shape 128x384x197 8x384x6085); fi
  run_shown ops "$here/bin/vim-bench" ops "${shapes[@]}" --json "$out/ops.json"
}

model() {  # NAME OPTION...; the models that `models` holds
  local name=$1
  shift
  run_shown "$name" "$here/bin/vim-bench" model --set data.root=/nowhere --set ema.enabled=true \
    --seconds "$(choose 1 0.5)" --json "$out/$name.json" "$@"
}
tiny=("$here"/configs/{vim,deit}_tiny.yaml)
models=("$here"/configs/{vim,deit}_{tiny,small}.yaml)

train() {
  model train_bf16 --config "${models[@]}" --batch 128 --set train.precision=bf16
  if [[ $quick == no ]]; then
    model train_tf32 --config "${tiny[0]}" --batch 128 --mode train --set train.precision=tf32
    model train_fp32 --config "${tiny[0]}" --batch 128 --mode train
  fi
}
latency() { model latency --config "${tiny[@]}" --batch 1 --mode inference --set train.precision=bf16; }
resolution() {
  local sizes=(512 640 738 1024 1248 2048) list=("${models[@]}")
  if [[ $quick == yes ]]; then sizes=(512 1248) list=("${tiny[@]}"); fi
  model resolution --config "${list[@]}" --batch 8 --mode inference --image-size "${sizes[@]}" \
    --set train.precision=bf16 --svg "$out/resolution.svg"
}

deit() {
  if ! LD_LIBRARY_PATH='' python3 -c 'import timm, torch' 2>/dev/null; then
    echo "skipped  deit: Python has no torch and timm"
    return
  fi
  local script=(env LD_LIBRARY_PATH= python3 "$here/deit_compiled.py" --seconds "$(choose 1 0.5)")
  run_shown deit_224 "${script[@]}" --batch 128 --json "$out/deit_224.json"
  if [[ $quick == no ]]; then
    run_shown deit_1248 "${script[@]}" --mode inference --batch 8 --image-size 1248 --json "$out/deit_1248.json"
  fi
}

fashion() {
  if [[ ! -d $here/fashion-mnist ]]; then
    echo "skipped  fashion: the bundle holds no Fashion-MNIST"
    return
  fi
  local accuracy
  rm -rf "$out/fashion"
  run fashion "$here/bin/vim-train" --config "$here/configs/fashion_mnist_gpu.yaml" \
    --set data.root="$here/fashion-mnist" --output "$out/fashion"
  accuracy=$(grep -o '"top1": *[0-9.]*' "$out/fashion/metrics.jsonl" | tail -1 | grep -o '[0-9.]*$')
  echo "         top-1 $accuracy %"
  if ! awk -v got="$accuracy" 'BEGIN { exit !(got >= 90.8) }'; then failed=1; fi
}

for section in "${wanted[@]}"; do $section; done
if ((failed)); then echo "run.sh: something failed; logs are in $out"; else echo "run.sh: all well; logs are in $out"; fi
exit $failed
