#!/usr/bin/env bash
# Trains every system on from the same start: OUT/SYSTEM. "shared" keeps the structure, the others
# begin with the copies that their plans say. Usage: 60_differentiate.sh [--dry-run]
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
begin "training on, from one start" "$@"

needs "$DATA/prepare.json" 10_prepare.sh
needs_start
for system in $SYSTEMS; do
  training "$system" "$TUNE_UPDATES" "$TUNE_LR" "$TUNE_WARMUP"
  translation
  train+=(--finetune-from-model "$(start_checkpoint)")
  if [ "$system" = shared ]; then
    cost "$TUNE_UPDATES" 76.3e6
  else
    needs "$OUT/plans/$system.json" 50_plan.sh
    train+=(--sharing-plan "$OUT/plans/$system.json")
    cost "$TUNE_UPDATES" 252.9e6
  fi
  run "$system" "${train[@]}"
done
