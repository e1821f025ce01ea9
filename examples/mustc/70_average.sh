#!/usr/bin/env bash
# Averages the last epochs of every system: OUT/SYSTEM/average.pt. Usage: 70_average.sh [--dry-run]
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
begin "the average of the last epochs" "$@"

for system in $SYSTEMS; do
  average "$system" 60_differentiate.sh
done
