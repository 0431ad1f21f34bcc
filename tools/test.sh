#!/usr/bin/env bash
# Sets up, builds everything with warnings as errors, and runs every test; arguments go to ctest (-R data, ...).
set -euo pipefail
cd "$(dirname "$0")/.."

bash tools/setup.sh dataset-fashion-mnist python3  # python3 writes the data of tests/cli
cmake --build build/release
ctest --test-dir build/release --output-on-failure --parallel "$(nproc)" "$@"
