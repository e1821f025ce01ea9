# shellcheck shell=bash disable=SC2154  # dry_run and AVERAGE are of the script that reads this
# One function for the scripts that train many systems; they bring run and fail.

average() {  # average FOLDER: of the last checkpoints, which are then removed
  local checkpoints
  if [ -n "$dry_run" ]; then
    run - fairseq-gist average "$1/checkpoint_*.pt" -o "$1/average.pt"
    return
  fi
  mapfile -t checkpoints < <(find "$1" -name 'checkpoint_[0-9]*_[0-9]*.pt' | sort -V)
  [ -e "$1/checkpoint_last.pt" ] || fail "$1 has no checkpoints to average; see $1/train.log"
  # at the end of an epoch fairseq writes no checkpoint but this one
  cmp -s "$1/checkpoint_last.pt" "${checkpoints[@]: -1}" || checkpoints+=("$1/checkpoint_last.pt")
  ((${#checkpoints[@]} <= AVERAGE)) || checkpoints=("${checkpoints[@]: -AVERAGE}")
  run "$1/train.log" fairseq-gist average "${checkpoints[@]}" -o "$1/average.pt"
  rm -f "$1"/checkpoint*.pt
}
