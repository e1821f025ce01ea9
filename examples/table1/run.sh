#!/usr/bin/env bash
# Trains the shared model, derives every other system of Table 1 of Wang et al. (Interspeech 2022)
# from it, translates with averaged checkpoints and writes the table.
#
#   run.sh [OUT] [SETTINGS.sh]     default: runs/table1 and cldr.sh beside this script
#   ONLY="gradient-2.5 random-2.5" run.sh ...     these systems (and the shared model) only
#   DRY_RUN=1 run.sh ...           print the commands instead
#
# A run that was interrupted goes on where it stopped; each system's scores are kept in OUT/scores as
# it finishes, and the tables are made from what is there: of every system's first seed, and of those
# that have all seeds.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
plugin=$(cd "$here/../../fairseq_gist" && pwd)
OUT=${1:-runs/table1}
OUT=${OUT%/}  # what completion puts there is no other folder
settings=${2:-$here/cldr.sh}
[ -f "$settings" ] && [ -r "$settings" ] || { echo "run.sh: cannot read the settings $settings" >&2; exit 1; }
# shellcheck source=examples/table1/cldr.sh
. "$settings"
for setting in SEEDS SEEDED BUDGETS SHARED_UPDATES UPDATES PATIENCE SAVE_EVERY AVERAGE ADAPTER_DIM \
  BIPARTITION_AT BIPARTITION_SPLITS BIPARTITION_BUDGET CHUNKS SAMPLING_TEMPERATURE DATA START TEST \
  VALID DEVICE model batches joint_batches from_scratch trained_on generation; do
  declare -p "$setting" >/dev/null 2>&1 ||
    { echo "run.sh: the settings $settings don't set $setting; see $here/cldr.sh" >&2; exit 1; }
done
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-2} PYTHONWARNINGS=ignore
dry_run=${DRY_RUN:-}
scores=$OUT/scores
read -ra seeds <<<"$SEEDS"
read -ra budgets <<<"$BUDGETS"

systems=(
  joint lna-d lna-e lna-ed adapters
  encoder-only self-attention cross-attention key-value query-key query-key-value attention
  feed-forward "${budgets[@]/#/random-}" "${budgets[@]/#/gradient-}" bipartition
  per-language bilingual
)

fail() { echo "run.sh: $*" >&2; exit 1; }
say() { printf '\n== %s\n' "$*"; }
# shellcheck source=examples/average.sh
. "$here/../average.sh"
run() {  # run LOG COMMAND...: output to the log, its end shown if the command fails
  local log=$1
  shift
  if [ -n "$dry_run" ]; then printf '%q ' "$@"; echo; return; fi
  "$@" >>"$log" 2>&1 || { tail -4 "$log" >&2; fail "failed: see $log"; }
}

for tool in fairseq-gist fairseq-train fairseq-generate; do
  command -v "$tool" >/dev/null || fail "$tool is not on the PATH; pip install '.[fairseq,corpora]'"
done
for system in ${ONLY:-}; do
  case " shared ${systems[*]} " in
    *" $system "*) ;;
    *) fail "ONLY: expected some of shared ${systems[*]}, found '$system'" ;;
  esac
done
for seed in "${seeds[@]}"; do
  [[ $seed =~ ^[0-9]+$ ]] || fail "SEEDS: expected numbers with spaces between, found '$seed'"
done
for budget in "${budgets[@]}"; do
  [[ $budget =~ ^[0-9]+(\.[0-9]+)?[kMGB]?$ ]] ||
    fail "BUDGETS: expected sizes such as 2.5 or 190.6M with spaces between, found '$budget'"
done
[ -z "$START" ] || [ -r "$START" ] || fail "START: there is no checkpoint $START"

# ---------------------------------------------------------------------------------------- settings
# What the results depend on: other settings need another OUT.
facts=$(declare -p SHARED_UPDATES UPDATES PATIENCE SAVE_EVERY AVERAGE ADAPTER_DIM BIPARTITION_AT \
  BIPARTITION_SPLITS BIPARTITION_BUDGET CHUNKS SAMPLING_TEMPERATURE DATA START TEST VALID model \
  batches joint_batches from_scratch trained_on generation)
facts=${facts//declare -x /declare -- }  # whether the environment said it or the file is no difference
if [ -z "$dry_run" ]; then
  mkdir -p "$scores"
  before=$facts
  [ ! -e "$OUT/settings" ] || before=$(sed 's/^declare -x /declare -- /' "$OUT/settings")
  if [ "$before" != "$facts" ]; then
    diff <(echo "$before") <(echo "$facts") >&2 || true
    fail "$OUT was made with other settings (above); choose another OUT, or remove it"
  fi
  echo "$facts" >"$OUT/settings"
fi

# ------------------------------------------------------------------------------------------- steps
fairseq_options=(
  --user-dir "$plugin" --task gist_speech_to_text --config-yaml config_st.yaml ${DEVICE:+"$DEVICE"}
)

train() {  # train FOLDER SEED TRAIN VALID UPDATES OPTION...: go on from the folder's last checkpoint
  local folder=$1 seed=$2 rows=$3 valid=$4 updates=$5
  shift 5
  [ -e "$folder/average.pt" ] && return
  [ -n "$dry_run" ] || mkdir -p "$folder"
  run "$folder/train.log" fairseq-train "$DATA" "${fairseq_options[@]}" "${model[@]}" \
    "${batches[@]}" --criterion gist_label_smoothed_cross_entropy --label-smoothing 0.1 \
    --ignore-prefix-size 1 --train-subset "$rows" --valid-subset "$valid" --optimizer adam \
    --max-update "$updates" --patience "$PATIENCE" --seed "$seed" --save-dir "$folder" \
    --validate-interval 100000 --save-interval 100000 --no-epoch-checkpoints \
    --validate-interval-updates "$SAVE_EVERY" --save-interval-updates "$SAVE_EVERY" \
    --keep-interval-updates "$AVERAGE" --sampling-temperature "$SAMPLING_TEMPERATURE" \
    --log-format simple --log-interval 50 "$@"
  average "$folder"
}

translate() {  # translate FOLDER CHECKPOINT SUBSET...
  local folder=$1 checkpoint=$2 subset
  shift 2
  for subset in "$@"; do
    [ -e "$folder/translations/$subset.done" ] && continue
    run "$folder/generate.log" fairseq-generate "$DATA" "${fairseq_options[@]}" \
      --gen-subset "$subset" --path "$checkpoint" --beam 5 --lenpen 0.6 --prefix-size 1 \
      "${generation[@]}" --results-path "$folder/translations"
    [ -n "$dry_run" ] || touch "$folder/translations/$subset.done"
  done
}

statistics() {  # statistics SEED: gradients of the shared model
  [ -e "$OUT/statistics-$1.npz" ] || run "$OUT/record.log" fairseq-gist record "$(shared "$1")" \
    "$DATA" --subset multiway --chunks "$CHUNKS" ${DEVICE:+"$DEVICE"} -o "$OUT/statistics-$1.npz"
}

listed() { local IFS=,; echo "${languages[*]}"; }

shared() { if [ -n "$START" ]; then echo "$START"; else echo "$OUT/shared-$1/average.pt"; fi; }

plan() {  # plan FOLDER NAME OPTION...
  local folder=$1 name=$2
  shift 2
  [ -n "$dry_run" ] || mkdir -p "$folder"
  [ -e "$folder/plan.json" ] ||
    run "$folder/plan.txt" fairseq-gist plan "$name" "$@" -o "$folder/plan.json"
}

# ----------------------------------------------------------------------------------------- systems
each_language() {  # each_language FOLDER SEED UPDATES OPTION...: a model for each language
  local folder=$1 seed=$2 updates=$3 language
  shift 3
  for language in "${languages[@]}"; do
    train "$folder/$language" "$seed" "train_$language" "dev_$language" "$updates" "$@"
    translate "$folder" "$folder/$language/average.pt" "${TEST}_$language"
  done
}

system() {  # system NAME SEED: train one system and leave what it wrote in its folder
  local name=$1 seed=$2 folder=$OUT/$1-$2 start budget=${1#*-}
  start=$(shared "$seed")
  local tuning=("${trained_on[@]}" --finetune-from-model "$start")
  local train_on=(
    train "$folder" "$seed" train "$VALID" "$UPDATES" "${joint_batches[@]}" "${tuning[@]}"
  )
  local units=(--checkpoint "$start" --languages "$(listed)")
  case $name in
    shared)
      [ -n "$START" ] || train "$folder" "$seed" train "$VALID" "$SHARED_UPDATES" \
        "${joint_batches[@]}" "${from_scratch[@]}" ;;
    joint) "${train_on[@]}" ;;
    lna-*) "${train_on[@]}" --train-only "$name" ;;
    adapters) "${train_on[@]}" --adapter-dim "$ADAPTER_DIM" --train-only adapters ;;
    bipartition)
      "${train_on[@]}" --differentiate-by bipartition --differentiate-at "$BIPARTITION_AT" \
        --bipartition-splits "$BIPARTITION_SPLITS" --size-budget "$BIPARTITION_BUDGET" \
        --gradients-from multiway ;;
    per-language) each_language "$folder" "$seed" "$UPDATES" "${tuning[@]}" ;;
    bilingual) each_language "$folder" "$seed" "$SHARED_UPDATES" "${from_scratch[@]}" ;;
    *)
      case $name in
        random-*) plan "$folder" random "${units[@]}" --size-budget "$budget" --seed "$seed" ;;
        gradient-*)
          statistics "$seed"
          plan "$folder" gradient --statistics "$OUT/statistics-$seed.npz" --size-budget "$budget" ;;
        *) plan "$folder" "$name" "${units[@]}" ;;
      esac
      "${train_on[@]}" --sharing-plan "$folder/plan.json" ;;
  esac
}

finish() {  # finish NAME SEED: translate and score
  local name=$1 seed=$2 folder=$OUT/$1-$2 language checkpoints=()
  case $name in
    per-language | bilingual)
      for language in "${languages[@]}"; do checkpoints+=("$name=$folder/$language/average.pt"); done ;;
    *)
      local checkpoint=$folder/average.pt
      [ "$name" != shared ] || checkpoint=$(shared "$seed")
      checkpoints=("$name=$checkpoint")
      translate "$folder" "$checkpoint" "$TEST" ;;
  esac
  run "$OUT/score.log" fairseq-gist score "$name=$folder/translations" --data "$DATA" \
    --subset "$TEST" --checkpoint "${checkpoints[@]}" -o "$scores/$name-$seed.json"
}

complete() {  # complete NAME SEED: everything for one row of the table
  local started=$SECONDS
  [ -e "$scores/$1-$2.json" ] && return
  say "$1, seed $2"
  system "$1" "$2"
  finish "$1" "$2"
  [ -n "$dry_run" ] || echo "$1 $2 $((SECONDS - started))" >>"$OUT/seconds"
}

write_table() {  # write_table NAME SEED...: of the systems that have all these seeds
  local table=$OUT/$1 system seed budget rows=() own against=()
  shift
  for system in shared "${systems[@]}"; do
    own=()
    for seed in "$@"; do
      [ ! -e "$scores/$system-$seed.json" ] || own+=("$system=$scores/$system-$seed.json")
    done
    ((${#own[@]} == $#)) || continue
    rows+=("${own[@]}")
    # joint has had as many updates as the others, shared has not
    case " $system ${rows[*]} " in
      " shared "* | " joint "*) ;;
      *" joint="*" $system="*) against+=(--against "$system=joint") ;;
    esac
  done
  for budget in "${budgets[@]}"; do
    case " ${rows[*]} " in
      *" random-$budget="*" gradient-$budget="*)
        against+=(--against "gradient-$budget=random-$budget") ;;
    esac
  done
  ((${#rows[@]})) || return 0
  fairseq-gist score "${rows[@]}" ${against[@]+"${against[@]}"} --table "$table" \
    -o "$table.json" >"$table.txt"
  cat "$table.md"
}

# --------------------------------------------------------------------------------------------- all
started=$SECONDS
say "data"
if [ -n "$dry_run" ]; then declare -f prepare_data; else prepare_data; fi
languages=()
for subset in ${VALID//,/ }; do languages+=("${subset##*_}"); done

for seed in "${seeds[@]}"; do
  for system in shared "${systems[@]}"; do
    [ "$seed" = "${seeds[0]}" ] || case " $SEEDED " in *" $system "*) ;; *) continue ;; esac
    [ -z "${ONLY:-}" ] || case " shared $ONLY " in *" $system "*) ;; *) continue ;; esac
    complete "$system" "$seed"
  done
done

[ -z "$dry_run" ] || exit 0
# one seed beside the mean of several would compare the seeds, not the systems
say "table: seed ${seeds[0]} of every system"
write_table table "${seeds[0]}"
if ((${#seeds[@]} > 1)); then
  say "seeds: systems with all of seeds $SEEDS"
  write_table seeds "${seeds[@]}"
  say "$OUT/seeds.{md,csv,tex}"
fi
say "$OUT/table.{md,csv,tex}; $((SECONDS - started)) seconds in this run"
