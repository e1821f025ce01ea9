#!/usr/bin/env bash
# Checks the data that you have unpacked, and says how much room the recipe needs.
# Reads MUSTC/en-XX/data/SPLIT; writes nothing. Usage: [MUSTC=DIR] 00_check.sh [--dry-run]
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
begin "is everything there?" "$@"

for tool in fairseq-gist fairseq-train fairseq-generate python; do
  command -v "$tool" >/dev/null ||
    fail "$tool is not on the PATH; activate the environment with fairseq-gist[fairseq]"
done
[ -n "$MUSTC" ] || fail "set MUSTC to the folder with en-de, en-es, ... of the release, which you" \
  "download (https://ict.fbk.eu/must-c) and unpack yourself"
command=(python "$here/check.py" "$MUSTC" --languages "$LANGUAGES" --splits "$SPLITS" --out "$OUT"
  --keep "$AVERAGE" --systems "$SYSTEMS" --start "$START" --vocabulary "$VOCABULARY")
if [ "$dry_run" = yes ]; then
  printf '%q ' "${command[@]}"
  echo
else
  "${command[@]}"
fi
