#!/usr/bin/env bash
# Decides what languages share, for every system but "shared": OUT/plans/SYSTEM.json.
# Usage: 50_plan.sh [--dry-run]
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
begin "what languages share" "$@"

needs "$OUT/statistics.npz" 40_record.sh
for system in $SYSTEMS; do
  case $system in
    shared) continue ;;
    gradient | random) from=(--statistics "$OUT/statistics.npz" --size-budget "$SIZE_BUDGET") ;;
    bipartition) from=(--statistics "$OUT/statistics.npz") ;;
    *) from=(--checkpoint "$(start_checkpoint)" --languages "${LANGUAGES// /,}") ;;
  esac
  run "plan.$system" fairseq-gist plan "$system" "${from[@]}" -o "$OUT/plans/$system.json"
done
