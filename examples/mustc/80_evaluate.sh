#!/usr/bin/env bash
# Translates the test data with the start and every system: OUT/translations/SYSTEM.
# Usage: 80_evaluate.sh [--dry-run]
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
begin "translations of the test data" "$@"

needs "$DATA/prepare.json" 10_prepare.sh
needs_start
find_plugin
# translate SYSTEM CHECKPOINT
translate() {
  local subset
  for subset in $TEST_SUBSETS; do
    local -a command=(
      fairseq-generate "$DATA" --user-dir "$plugin" --task gist_speech_to_text
      --config-yaml config_st.yaml --gen-subset "$subset" --path "$2" --prefix-size 1
      --beam "$BEAM" --lenpen "$LENPEN" --max-tokens "$TEST_TOKENS" --num-workers "$NUM_WORKERS"
      --results-path "$OUT/translations/$1"
    )
    # shellcheck disable=SC2206 # several words on purpose
    command+=($GENERATE_OPTIONS)
    [ "$CPU" = 0 ] || command+=(--cpu)
    run "translate.$1.$subset" "${command[@]}"
  done
}
translate start "$(start_checkpoint)"
for system in $SYSTEMS; do
  needs "$OUT/$system/average.pt" 70_average.sh
  translate "$system" "$OUT/$system/average.pt"
done
