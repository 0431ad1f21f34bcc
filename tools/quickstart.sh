#!/usr/bin/env bash
# From a bare Debian 12 to a trained model: sets up, builds, trains a small Vim on Fashion-MNIST, evaluates it.
# Run it again and it goes on where it was interrupted; a finished run is only evaluated.
set -euo pipefail
cd "$(dirname "$0")/.."

bash tools/setup.sh dataset-fashion-mnist
cmake --build build/release --target vim-train vim-eval

run=runs/fashion_mnist
build/release/bin/vim-train --config configs/fashion_mnist.yaml --output "$run" --resume
echo
build/release/bin/vim-eval --checkpoint "$run/checkpoints/best.safetensors"
echo
echo "checkpoints  $run/checkpoints/{best,last}.safetensors"
echo "metrics      $run/metrics.jsonl"
echo "config       $run/config.yaml"
