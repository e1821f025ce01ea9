#!/usr/bin/env bash
# Trains one model for all languages, with everything shared: OUT/st/average.pt.
# Usage: 30_st.sh [--dry-run]
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
begin "translation into all languages, everything shared" "$@"

skip_with_start
needs "$DATA/prepare.json" 10_prepare.sh
needs "$OUT/asr/average.pt" 20_asr.sh
cost "$ST_UPDATES" 76.3e6
training st "$ST_UPDATES" "$ST_LR" "$WARMUP"
translation
train+=(--load-pretrained-encoder-from "$OUT/asr/average.pt")
run st "${train[@]}"
average st 30_st.sh
