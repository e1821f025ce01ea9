# shellcheck shell=bash disable=SC2154
# What the recipe's scripts have in common. Each sources this and calls `begin "$@"`.

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
script=$(basename "$0")
dry_run=no

say() { printf '\n== %s\n' "$*"; }
note() { printf '   %s\n' "$*"; }
fail() {
  printf '%s: %s\n' "$script" "$*" >&2
  exit 1
}

# begin TITLE "$@": read the settings and the options, print the banner
begin() {
  local title=$1
  shift
  for option in "$@"; do
    case $option in
      --dry-run) dry_run=yes ;;
      -h | --help)
        sed -n -e '1d' -e '/^#/!q' -e 's/^# \{0,1\}//p' "$0"
        exit 0
        ;;
      *) fail "unknown option $option; there are --dry-run and --help, settings are in config.sh" ;;
    esac
  done
  # shellcheck source=config.sh
  . "$here/config.sh"
  if [ -n "$START" ] && [ -z "$VOCABULARY" ]; then
    fail "START=$START needs its vocabulary: VOCABULARY=PREFIX of PREFIX.model and PREFIX.txt"
  fi
  export PYTHONWARNINGS=${PYTHONWARNINGS:-ignore}
  say "$script: $title"
}

# skip_with_start: leave a stage out that a given checkpoint makes needless
skip_with_start() {
  [ -n "$START" ] || return 0
  note "skipped: START=$START is the starting point"
  exit 0
}

# needs FILE SCRIPT: stop unless FILE is there, which SCRIPT makes
needs() {
  [ -e "$1" ] && return
  [ "$dry_run" = yes ] && return
  fail "there is no $1; run $2 first (with the same settings)"
}

# run NAME COMMAND...: run it once; its output goes to the screen and to a log
run() {
  local name=$1 command mark log
  shift
  printf -v command '%q ' "$@"
  if [ "$dry_run" = yes ]; then
    printf '%s\n' "$command"
    return
  fi
  mark=$OUT/done/$name log=$OUT/logs/$name.log
  if [ -e "$mark" ]; then
    [ "$(cat "$mark")" = "$command" ] || fail "$name was done with other settings: $(cat "$mark");" \
      "choose another OUT, or remove $mark to go on from what it left"
    note "$name: done already ($mark)"
    return
  fi
  mkdir -p "$OUT/done" "$OUT/logs"
  printf '$ %s\n' "$command" | tee -a "$log"
  "$@" 2>&1 | tee -a "$log" ||
    fail "$name failed, see $log; when the cause is gone, run $script again, which goes on from there"
  printf '%s\n' "$command" >"$mark.new"
  mv "$mark.new" "$mark"
}

# training NAME UPDATES LR WARMUP: begin the command `train` with what all trainings share
training() {
  local name=$1 updates=$2 lr=$3 warmup=$4
  train=(
    fairseq-train "$DATA" --save-dir "$OUT/$name" --seed "$SEED"
    --optimizer adam --lr "$lr" --lr-scheduler inverse_sqrt --warmup-updates "$warmup"
    --clip-norm "$CLIP_NORM" --max-tokens "$MAX_TOKENS" --update-freq "$UPDATE_FREQ"
    --max-update "$updates" --patience "$PATIENCE" --keep-last-epochs "$AVERAGE"
    --label-smoothing 0.1 --report-accuracy --skip-invalid-size-inputs-valid-test
    --num-workers "$NUM_WORKERS" --log-format simple --log-interval 100
  )
  # shellcheck disable=SC2206 # several words on purpose
  train+=($MODEL_OPTIONS $TRAIN_OPTIONS)
  [ "$CPU" = 0 ] || train+=(--cpu)
}

# valid_subsets: one for each language, so that patience looks at the mean over the languages
valid_subsets() {
  local subsets
  # shellcheck disable=SC2086 # several words on purpose
  printf -v subsets ',dev_%s' $LANGUAGES
  printf '%s\n' "${subsets:1}"
}

# find_plugin: set `plugin` to what fairseq takes as --user-dir
find_plugin() {
  plugin=$(fairseq-gist user-dir) || fail "fairseq-gist doesn't run; 00_check.sh says what is missing"
}

# translation: add to `train` what trainings of translation share
translation() {
  find_plugin
  train+=(
    --user-dir "$plugin" --task gist_speech_to_text --arch "gist_s2t_transformer_$MODEL"
    --config-yaml config_st.yaml --train-subset train --valid-subset "$(valid_subsets)"
    --criterion gist_label_smoothed_cross_entropy --ignore-prefix-size 1 --ddp-backend legacy_ddp
  )
  # shellcheck disable=SC2206 # several words on purpose
  train+=($ST_OPTIONS)
  [ -z "$TEMPERATURE" ] || train+=(--sampling-temperature "$TEMPERATURE")
}

# average NAME SCRIPT: NAME/average.pt of the last epochs that SCRIPT has trained
average() {
  needs "$OUT/done/$1" "$2"
  run "$1.average" fairseq-gist average "$OUT/$1" --num-epoch-checkpoints "$AVERAGE" -o "$OUT/$1/average.pt"
}

# start_checkpoint: print where the systems start
start_checkpoint() { printf '%s\n' "${START:-$OUT/st/average.pt}"; }

# needs_start: stop unless the starting point is there
needs_start() {
  [ -z "$START" ] || [ -f "$START" ] || [ "$dry_run" = yes ] ||
    fail "START=$START: there is no such file"
  needs "$(start_checkpoint)" 30_st.sh
}

# cost UPDATES PARAMETERS: print an estimate of a training's cost
cost() {
  awk -v updates="$1" -v parameters="$2" -v frames=$((MAX_TOKENS * UPDATE_FREQ)) \
    -v tflops="$GPU_TFLOPS" -v kept="$AVERAGE" 'BEGIN {
    # operations for a second of speech: 6 for a parameter and position; 25 positions in the encoder
    # (38M parameters), about 4 tokens in the decoder and output projection (30M), attention not counted
    operations = 6 * (38e6 * 25 + 30e6 * 4)
    hours = updates * frames / 100 * operations / (tflops * 1e12) / 3600
    printf "   estimate, nothing here was measured: at most %.1f GPU hours (%d updates of %.0f s of speech on one GPU,", \
      hours, updates, frames / 100
    printf " %.1f GFLOP a second of speech for s2t_transformer_m, GPU_TFLOPS=%s), and %.0f GB for checkpoints", \
      operations / 1e9, tflops, (kept + 2) * parameters * 12 / 1e9
    printf " (%d of %s parameters with Adam)\n", kept + 2, parameters
  }'
}
