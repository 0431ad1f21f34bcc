#!/usr/bin/env bash
# Fuzzes for SECONDS a target (default: 600), all targets or those named, one after another:
#
#   cmake --preset fuzz && cmake --build --preset fuzz
#   bash tests/fuzz/run.sh [SECONDS [TARGET]...]
#
# What is found lies in build/fuzz/findings, the inputs that reach new paths in build/fuzz/corpus; a second run goes
# on from there. Ends with 1 where there was a finding.
set -uo pipefail
cd "$(dirname "$0")/../.."
seconds=${1:-600}
shift || true
targets=("$@")
if ((${#targets[@]} == 0)); then
  for path in tests/fuzz/seeds/*; do targets+=("$(basename "$path")"); done
fi
[[ -d /dev/shm ]] && export TMPDIR=/dev/shm
status=0
for target in "${targets[@]}"; do
  if [[ ! -x build/fuzz/bin/fuzz_$target ]]; then
    echo "$target: there is no build/fuzz/bin/fuzz_$target; build it with cmake --build --preset fuzz"
    status=1
    continue
  fi
  mkdir -p "build/fuzz/corpus/$target" "build/fuzz/findings/$target"
  log=build/fuzz/findings/$target.log
  if build/fuzz/bin/fuzz_"$target" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=4096 -max_len=16384 \
    -print_final_stats=1 -artifact_prefix="build/fuzz/findings/$target/" "build/fuzz/corpus/$target" \
    "tests/fuzz/seeds/$target" >"$log" 2>&1; then
    echo "$target: no finding in $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") inputs"
  else
    echo "$target: a finding, see $log"
    status=1
  fi
done
exit $status
