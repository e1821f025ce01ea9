#!/usr/bin/env bash
# Records the gradients of every language on the multi-way aligned utterances: OUT/statistics.npz.
# Usage: 40_record.sh [--dry-run]
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
begin "gradients of every language on the same utterances" "$@"

needs "$DATA/prepare.json" 10_prepare.sh
needs "$DATA/multiway.tsv" "10_prepare.sh with other splits in MULTIWAY_FROM, into another DATA,"
needs_start
note "estimate: minutes on a GPU; about 6.5 GB of memory for s2t_transformer_m, 8 languages, 8 chunks"
command=(
  fairseq-gist record "$(start_checkpoint)" "$DATA" --subset multiway --gradient-chunks "$CHUNKS"
  --max-tokens "$RECORD_TOKENS" -o "$OUT/statistics.npz"
)
[ "$CPU" = 0 ] || command+=(--cpu)
run record "${command[@]}"
