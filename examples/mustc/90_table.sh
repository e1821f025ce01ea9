#!/usr/bin/env bash
# Scores the translations: OUT/scores.json and a table. Usage: 90_table.sh [--dry-run]
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
begin "scores" "$@"

subsets=${TEST_SUBSETS// /,}
command=(fairseq-gist score)
checkpoints=()
for system in start $SYSTEMS; do
  for subset in $TEST_SUBSETS; do
    needs "$OUT/done/translate.$system.$subset" 80_evaluate.sh
  done
  command+=("$system=$OUT/translations/$system")
  checkpoints+=("$system=$OUT/$system/average.pt")
done
checkpoints[0]="start=$(start_checkpoint)"
command+=(--data "$DATA" --subset "$subsets" --checkpoint "${checkpoints[@]}" -o "$OUT/scores.json")
command+=(--table "$OUT/table")
run score "${command[@]}"
