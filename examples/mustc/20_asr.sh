#!/usr/bin/env bash
# Pre-trains the encoder on English recognition with stock fairseq: OUT/asr/average.pt.
# Usage: 20_asr.sh [--dry-run]
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
begin "an encoder from speech recognition" "$@"

skip_with_start
needs "$DATA/prepare.json" 10_prepare.sh
needs "$DATA/config_asr.yaml" "10_prepare.sh without START, into another DATA,"
cost "$ASR_UPDATES" 76.3e6
training asr "$ASR_UPDATES" "$ASR_LR" "$WARMUP"
train+=(
  --task speech_to_text --arch "s2t_transformer_$MODEL" --config-yaml config_asr.yaml
  --train-subset train_asr --valid-subset dev_asr --criterion label_smoothed_cross_entropy
)
run asr "${train[@]}"
average asr 20_asr.sh
