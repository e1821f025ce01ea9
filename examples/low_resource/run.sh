#!/usr/bin/env bash
# Many spoken languages into one, and what they share in a Conformer is found out from gradients
# (GDPS): check and prepare the data, train one model for all languages, measure its gradients, plan,
# train every system on from that model, translate, score.
#
#   run.sh [OUT] [SETTINGS.sh]      default: runs/low-resource and cldr.sh beside this script
#   ONLY="gdps gdps-random" run.sh ...      these systems (and the base model) only
#   JOBS=2 run.sh ...               two systems at a time
#   run.sh --dry-run ...            print the commands instead, as DRY_RUN=1 does
#
# A run that was interrupted goes on where it stopped; each system's scores are kept in OUT/scores as
# it finishes, and the tables are made from what is there: of every system's first seed, and of those
# that have all seeds.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
plugin=$(cd "$here/../../fairseq_gist" && pwd)
dry_run=${DRY_RUN:-}
if [ "${1:-}" = --dry-run ]; then dry_run=1; shift; fi
fail() { echo "run.sh: $*" >&2; exit 1; }
say() { printf '\n== %s\n' "$*"; }
# shellcheck source=examples/average.sh
. "$here/../average.sh"

for argument in "$@"; do
  [[ $argument != -* ]] ||
    fail "expected [--dry-run] [OUT] [SETTINGS.sh], found '$argument'; $here/README.md says more"
done
(($# <= 2)) || fail "expected [--dry-run] [OUT] [SETTINGS.sh], found $# arguments, the last '${!#}'"
OUT=${1:-runs/low-resource}
OUT=${OUT%/}  # what completion puts there is no other folder
settings=${2:-$here/cldr.sh}

[ -f "$settings" ] && [ -r "$settings" ] || fail "cannot read the settings $settings"
# shellcheck source=examples/low_resource/cldr.sh
. "$settings"
for setting in LANGUAGES SYSTEMS SEEDS SEEDED JOBS OMP_NUM_THREADS BASE_UPDATES UPDATES PATIENCE \
  SAVE_EVERY AVERAGE MEASURE_ON CHUNKS UNITS SAMPLING_TEMPERATURE DATA START VALID TEST NUM_WORKERS \
  DEVICE TAGS task_options model batches from_scratch trained_on generation; do
  declare -p "$setting" >/dev/null 2>&1 ||
    fail "the settings $settings don't set $setting; see $here/cldr.sh"
done
for function in check_data prepare_data costs; do
  declare -F "$function" >/dev/null ||
    fail "the settings $settings don't define $function; see $here/cldr.sh"
done
export OMP_NUM_THREADS PYTHONWARNINGS=ignore
scores=$OUT/scores
read -ra languages <<<"$LANGUAGES"
read -ra seeds <<<"$SEEDS"
read -ra systems <<<"$SYSTEMS"

for tool in fairseq-gist fairseq-train fairseq-generate; do
  command -v "$tool" >/dev/null ||
    fail "$tool is not on the PATH; pip install '.[fairseq,corpora,report]'"
done
for system in "${systems[@]}"; do
  case $system in
    unified | gdps | gdps-random | gdps-25 | gdps-50 | gdps-75) ;;
    gdps-without-a | gdps-without-c | gdps-2-groups) ;;
    *) fail "SYSTEMS: expected unified, gdps, gdps-random, gdps-25, gdps-50, gdps-75," \
      "gdps-2-groups, gdps-without-a or gdps-without-c, found '$system'" ;;
  esac
done
for name in ${ONLY:-}; do
  case " base ${systems[*]} " in
    *" $name "*) ;;
    *) fail "ONLY: expected some of base ${systems[*]}, found '$name'" ;;
  esac
done
for name in ${SEEDED:-}; do
  case " ${systems[*]} " in
    *" $name "*) ;;
    *) fail "SEEDED: expected some of ${systems[*]}, found '$name'" ;;
  esac
done
((${#languages[@]} > 1)) || fail "LANGUAGES: expected two or more, found '$LANGUAGES'"
((${#seeds[@]})) || fail "SEEDS: expected one or more, found none"
for seed in "${seeds[@]}"; do
  [[ $seed =~ ^[0-9]+$ ]] || fail "SEEDS: expected numbers with spaces between, found '$seed'"
done
repeated=$(printf '%s\n' "${seeds[@]}" | sort | uniq -d)
[ -z "$repeated" ] || fail "SEEDS: expected each once, found ${repeated//$'\n'/ } again"
for number in BASE_UPDATES UPDATES SAVE_EVERY AVERAGE CHUNKS OMP_NUM_THREADS; do
  [[ ${!number} =~ ^[1-9][0-9]*$ ]] || fail "$number: expected a number from 1 on, found '${!number}'"
done
[[ $JOBS =~ ^[1-9][0-9]*$ ]] || fail "JOBS: expected how many to run at a time, found '$JOBS'"
[ -z "$START" ] || [ -r "$START" ] || fail "START: there is no checkpoint $START"

say "data"
if [ -n "$dry_run" ]; then declare -f check_data; else check_data; fi
costs

# ---------------------------------------------------------------------------------------- settings
# What the results depend on: other settings need another OUT.
facts=$(declare -p LANGUAGES BASE_UPDATES UPDATES PATIENCE SAVE_EVERY AVERAGE MEASURE_ON CHUNKS UNITS \
  SAMPLING_TEMPERATURE DATA START VALID TEST TAGS task_options model batches from_scratch trained_on \
  generation)
facts=${facts//declare -x /declare -- }  # whether the environment said it or the file is no difference
if [ -z "$dry_run" ]; then
  mkdir -p "$scores"
  if [ -e "$OUT/settings" ] && [ "$(cat "$OUT/settings")" != "$facts" ]; then
    diff "$OUT/settings" - <<<"$facts" >&2 || true
    fail "$OUT was made with other settings (above); choose another OUT, or remove it"
  fi
  echo "$facts" >"$OUT/settings"
fi

# ------------------------------------------------------------------------------------------- steps
fairseq_options=(
  --user-dir "$plugin" --task gist_speech_to_text --config-yaml config_st.yaml
  --num-workers "$NUM_WORKERS" ${DEVICE:+"$DEVICE"} ${task_options[@]+"${task_options[@]}"}
)

run() {  # run LOG COMMAND...: output to the log, its end shown if the command fails
  local log=$1
  shift
  if [ -n "$dry_run" ]; then printf '%q ' "$@"; echo; return; fi
  mkdir -p "$(dirname "$log")"
  "$@" >>"$log" 2>&1 || { tail -4 "$log" >&2; fail "failed: see $log"; }
}

train() {  # train FOLDER SEED UPDATES OPTION...: go on from the folder's last checkpoint
  local folder=$1 seed=$2 updates=$3
  shift 3
  [ -e "$folder/average.pt" ] && return
  run "$folder/train.log" fairseq-train "$DATA" "${fairseq_options[@]}" --language-key src \
    "${model[@]}" "${batches[@]}" --criterion gist_label_smoothed_cross_entropy \
    --label-smoothing 0.1 --ignore-prefix-size "$TAGS" --train-subset train --valid-subset "$VALID" \
    --optimizer adam --max-update "$updates" --patience "$PATIENCE" --seed "$seed" \
    --save-dir "$folder" --validate-interval 100000 --save-interval 100000 \
    --no-epoch-checkpoints --validate-interval-updates "$SAVE_EVERY" \
    --save-interval-updates "$SAVE_EVERY" --keep-interval-updates "$AVERAGE" \
    --sampling-temperature "$SAMPLING_TEMPERATURE" --log-format simple --log-interval 50 "$@"
  average "$folder"
}

base() { if [ -n "$START" ]; then echo "$START"; else echo "$OUT/base-$1/average.pt"; fi; }

measure() {  # measure SEED: gradients of the base model, of single hidden units too
  [ -e "$OUT/statistics-$1.npz" ] || run "$OUT/base-$1/record.log" fairseq-gist record \
    "$(base "$1")" "$DATA" --language-key src --hidden-units ${UNITS:+--units "$UNITS"} \
    --subset "$MEASURE_ON" --chunks "$CHUNKS" ${DEVICE:+"$DEVICE"} -o "$OUT/statistics-$1.npz"
}

plan() {  # plan FOLDER SEED POLICY OPTION...
  local folder=$1 seed=$2 policy=$3
  shift 3
  [ -e "$folder/plan.json" ] || run "$folder/plan.txt" fairseq-gist plan "$policy" \
    --statistics "$OUT/statistics-$seed.npz" "$@" -o "$folder/plan.json"
}

translate() {  # translate FOLDER CHECKPOINT
  local subset
  for subset in ${TEST//,/ }; do
    [ -e "$1/translations/$subset.done" ] && continue
    run "$1/generate.log" fairseq-generate "$DATA" "${fairseq_options[@]}" --gen-subset "$subset" \
      --path "$2" --beam 5 --prefix-size "$TAGS" "${generation[@]}" --results-path "$1/translations"
    [ -n "$dry_run" ] || touch "$1/translations/$subset.done"
  done
}

# ----------------------------------------------------------------------------------------- systems
decide() {  # decide NAME FOLDER SEED: what the system shares
  local plan=(plan "$2" "$3")
  case $1 in
    gdps) "${plan[@]}" gdps ;;
    gdps-random) "${plan[@]}" gdps-random --seed "$3" ;;
    gdps-2-groups) "${plan[@]}" gdps --groups 2 ;;
    gdps-without-a) "${plan[@]}" gdps --groups each ;;
    gdps-without-c) "${plan[@]}" gdps --own agreement ;;
    *) "${plan[@]}" gdps --shared "0.${1#gdps-}" ;;
  esac
}

twin() {  # twin FOLDER SEED: the system that has been scored with this plan and seed, if any
  local signature other
  [ -e "$1/plan.json" ] || return 0
  signature=$(grep '"signature"' "$1/plan.json")
  for other in "${systems[@]}"; do
    if [ -e "$scores/$other-$2.json" ] && grep -qsF "$signature" "$OUT/$other-$2/plan.json"; then
      echo "$other"
      return
    fi
  done
}

remark() {  # remark NAME SEED TEXT: to be said below the tables
  [ -n "$dry_run" ] || echo "$1, seed $2: $3" | tee "$scores/$1-$2.remark"
}

complete() {  # complete NAME SEED: everything for one row of the table
  local name=$1 seed=$2 folder=$OUT/$1-$2 result=$scores/$1-$2.json began=$SECONDS checkpoint same
  [ -e "$result" ] && return
  say "$name, seed $seed"
  checkpoint=$folder/average.pt
  local tuned=("${trained_on[@]}" --finetune-from-model "$(base "$seed")")
  case $name in
    base)
      checkpoint=$(base "$seed")
      [ -n "$START" ] || train "$folder" "$seed" "$BASE_UPDATES" "${from_scratch[@]}"
      measure "$seed" ;;
    unified) train "$folder" "$seed" "$UPDATES" "${tuned[@]}" ;;
    *)
      decide "$name" "$folder" "$seed"
      [ -n "$dry_run" ] || grep -q '"divisions"' "$folder/plan.json" ||
        remark "$name" "$seed" "shares everything: in no block are languages known to differ"
      same=$(twin "$folder" "$seed")
      if [ -n "$same" ]; then
        remark "$name" "$seed" "has the plan of $same, and so its scores"
        cp "$scores/$same-$seed.json" "$result"
        return
      fi
      train "$folder" "$seed" "$UPDATES" "${tuned[@]}" --sharing-plan "$folder/plan.json" ;;
  esac
  translate "$folder" "$checkpoint"
  run "$folder/score.log" fairseq-gist score "$name=$folder/translations" --data "$DATA" \
    --subset "$TEST" --language-key src --chrf-word-order 2 --checkpoint "$name=$checkpoint" \
    -o "$result"
  [ -z "$dry_run" ] || return 0
  echo "$name $seed $((SECONDS - began))" >>"$OUT/seconds"
  echo "-- $name, seed $seed: done in $((SECONDS - began)) seconds"
}

wanted() {  # wanted NAME SEED: is this system to be trained with this seed?
  [ -z "${ONLY:-}" ] || [[ " base $ONLY " = *" $1 "* ]] || return 1
  [ "$2" = "${seeds[0]}" ] || [[ " base $SEEDED " = *" $1 "* ]]
}

# ------------------------------------------------------------------------------------ side by side
running=0
stop_all() {  # each job is a process group of its own, so that all of it can be stopped
  local job
  for job in $(jobs -p); do kill -- "-$job" 2>/dev/null || true; done
}
trap stop_all EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

start() {  # start COMMAND...: in the background, as soon as fewer than JOBS are running
  if [ -n "$dry_run" ]; then "$@"; return; fi
  while ((running >= JOBS)); do finish_one; done
  set -m
  "$@" &
  set +m
  running=$((running + 1))
}

finish_one() {  # wait until one of them ends
  wait -n || fail "stopped; what is done is kept, and the same command goes on from there"
  running=$((running - 1))
}

# ------------------------------------------------------------------------------------------ tables
table() {  # table NAME SEED...: of the systems that have all these seeds
  local table=$OUT/$1 system seed rows=() own options=() remarks=()
  shift
  for system in base "${systems[@]}"; do
    own=()
    for seed in "$@"; do
      [ ! -e "$scores/$system-$seed.json" ] || own+=("$system=$scores/$system-$seed.json")
    done
    ((${#own[@]} == $#)) || continue
    rows+=("${own[@]}")
    for seed in "$@"; do
      [ ! -e "$scores/$system-$seed.remark" ] || remarks+=("$scores/$system-$seed.remark")
    done
    # unified has had as many updates as the others, base has not
    case "$system ${rows[*]}" in
      unified*) options+=(--baseline unified) ;;
      gdps-*" gdps="*) options+=(--against "gdps=$system") ;;
    esac
  done
  ((${#rows[@]})) || return 0
  fairseq-gist score "${rows[@]}" ${options[@]+"${options[@]}"} --table "$table" -o "$table.json" \
    >"$table.txt"
  ((!${#remarks[@]})) || sed 's/^/- /' "${remarks[@]}" >>"$table.md"
  cat "$table.md"
}

decisions() {  # what gdps decided, for each seed
  local seed
  for seed in "${seeds[@]}"; do
    [ -e "$OUT/gdps-$seed/plan.json" ] || continue
    say "what gdps decided, seed $seed"
    fairseq-gist show "$OUT/gdps-$seed/plan.json"
  done
}

write_report() {  # what the first seed's model saw, what gdps made of it, and the scores
  local found=() file
  for file in "$OUT/statistics-${seeds[0]}.npz" "$OUT/gdps-${seeds[0]}/plan.json" \
    "$OUT/base-${seeds[0]}/train.log" "$OUT/table.json"; do
    if [ -n "$dry_run" ] || [ -e "$file" ]; then found+=("$file"); fi
  done
  run "$OUT/report.log" fairseq-gist report "${found[@]}" -o "$OUT/report"
}

# --------------------------------------------------------------------------------------------- all
began=$SECONDS
if [ -n "$dry_run" ]; then declare -f prepare_data; else prepare_data; fi

for seed in "${seeds[@]}"; do start complete base "$seed"; done
for seed in "${seeds[@]}"; do
  while ((running)) && [ ! -e "$scores/base-$seed.json" ]; do finish_one; done
  for system in "${systems[@]}"; do
    if wanted "$system" "$seed"; then start complete "$system" "$seed"; fi
  done
done
while ((running)); do finish_one; done

if [ -n "$dry_run" ]; then
  say "report"
  write_report
  exit 0
fi
decisions
# one seed beside the mean of several would compare the seeds, not the systems
say "table: seed ${seeds[0]} of every system"
table table "${seeds[0]}"
if ((${#seeds[@]} > 1)); then
  say "seeds: systems with all of seeds $SEEDS"
  table seeds "${seeds[@]}"
fi
write_report
say "$OUT/table.{md,csv,tex}, $OUT/report/index.html; $((SECONDS - began)) seconds in this run"
