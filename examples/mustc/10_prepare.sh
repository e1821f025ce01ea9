#!/usr/bin/env bash
# Makes filterbanks, vocabulary and manifests from the release: DATA. Usage: 10_prepare.sh [--dry-run]
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
begin "filterbanks, vocabulary, manifests" "$@"

[ -n "$MUSTC" ] || fail "set MUSTC to the folder with en-de, en-es, ...; 00_check.sh says what it needs"
command=(
  fairseq-gist prepare "$MUSTC" --out "$DATA" --languages "${LANGUAGES// /,}" --splits "${SPLITS// /,}"
  --max-frames "$MAX_FRAMES" --multiway-from "$MULTIWAY_FROM"
  --multiway-tolerance "$MULTIWAY_TOLERANCE"
)
if [ -n "$VOCABULARY" ]; then
  command+=(--vocabulary "$VOCABULARY")
else
  command+=(--vocab-size "$VOCAB_SIZE")
fi
[ -n "$START" ] || command+=(--asr --asr-vocab-size "$ASR_VOCAB_SIZE")
note "estimate: hours of CPU time, which all cores share, and the room that 00_check.sh says"
run prepare "${command[@]}"
