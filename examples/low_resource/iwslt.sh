# shellcheck shell=bash disable=SC2034,SC2154  # run.sh reads these, and has what is not set here
# Settings of run.sh for the paper's languages: Tunisian Arabic, Bemba, Estonian and Irish into
# English, in the layout that docs/data.md describes, unpacked below CORPUS. The full run has not been
# made. Any of these can be set in the environment instead.
#
#   MODEL=seamless SEAMLESS=hf-seamless-m4t-medium      the paper's model in place of a Conformer

: "${CORPUS:?the folder with the corpora, one a language}"
: "${MODEL:=conformer}"
: "${LANGUAGES:=aeb bem est gle}"
: "${SPLITS:=train dev test}"
: "${SYSTEMS:=unified gdps gdps-random}"  # run.sh names more
: "${SEEDS:=1 2 3}"           # the first for every system; all for those of SEEDED
: "${SEEDED:=$SYSTEMS}"
: "${JOBS:=1}"                # systems that are trained at a time, all on the same device
: "${OMP_NUM_THREADS:=4}"
: "${PATIENCE:=10}"           # validations without a better mean over the languages
: "${MEASURE_ON:=dev}"        # no phrase has to be there in all languages
: "${CHUNKS:=16}"
: "${SAMPLING_TEMPERATURE:=5}"
: "${VOCABULARY:=8000}"
: "${DATA:=$OUT/data}"
: "${START:=}"                # a checkpoint in place of the base model's training
: "${VALID:=dev_${LANGUAGES// /,dev_}}"
: "${TEST:=test}"
: "${NUM_WORKERS:=4}"
: "${DEVICE:=}"
: "${GPU_TFLOPS:=20}"         # for the estimate of costs: 10^12 operations a second in training

case $MODEL in
  conformer)
    : "${TARGET:=en}"
    : "${BASE_UPDATES:=100000}"   # at most: PATIENCE ends it
    : "${UPDATES:=20000}"
    : "${SAVE_EVERY:=1000}"       # updates between validations and checkpoints
    : "${AVERAGE:=5}"             # checkpoints that are averaged
    : "${UNITS:=encoder\.conformer_layers\.11\.ffn2\..*}"  # the paper's; empty: every FFN2
    TAGS=0                        # tokens in front of every target that are given, not learnt
    task_options=()
    model=(--arch gist_s2t_conformer --encoder-layers 12 --decoder-layers 6 --dropout 0.1)
    batches=(--max-tokens 40000 --update-freq 4)
    from_scratch=(--lr 1e-3 --lr-scheduler inverse_sqrt --warmup-updates 10000)
    trained_on=(--lr 2e-4 --lr-scheduler inverse_sqrt --warmup-updates 1000)
    generation=(--max-tokens 50000)
    # millions of parameters; those at work on a position, and positions a second of speech
    parameters=47 encoder=31 positions=25 decoder=12 ;;
  seamless)
    : "${SEAMLESS:?the folder of facebook/hf-seamless-m4t-medium}"
    : "${TARGET:=eng}"            # as its tokenizer calls it
    : "${BASE_UPDATES:=10000}"    # on the public weights; at most: PATIENCE ends it
    : "${UPDATES:=3000}"
    : "${SAVE_EVERY:=500}"
    : "${AVERAGE:=3}"
    : "${UNITS:=encoder\.layers\.11\.ffn2\..*}"
    TAGS=1
    task_options=(--seamless-path "$SEAMLESS")
    model=(--arch gist_seamless_m4t)
    batches=(--max-tokens 6000 --update-freq 8)
    from_scratch=(--lr 5e-5 --lr-scheduler inverse_sqrt --warmup-updates 1000)
    trained_on=(--lr 2e-5 --lr-scheduler inverse_sqrt --warmup-updates 200)
    generation=(--max-tokens 20000)
    parameters=821 encoder=357 positions=50 decoder=464 ;;
  *) fail "MODEL: expected conformer or seamless, found '$MODEL'" ;;
esac
batches+=(
  --clip-norm 10 --ddp-backend legacy_ddp --skip-invalid-size-inputs-valid-test
)

check_data() {
  local language split folder file
  if [ "$MODEL" = seamless ]; then
    for file in config.json preprocessor_config.json; do
      [ -r "$SEAMLESS/$file" ] || fail "SEAMLESS: expected $SEAMLESS/$file, found none"
    done
    python -c 'from fairseq_gist.host.compat import require_transformers as r; r()' ||
      fail "MODEL=seamless needs transformers: pip install '.[seamless]'"
  fi
  for language in $LANGUAGES; do
    for split in $SPLITS; do
      folder=$CORPUS/$language-$TARGET/data/$split
      for file in "txt/$split.yaml" "txt/$split.$language" "txt/$split.$TARGET" wav; do
        [ -r "$folder/$file" ] || fail "CORPUS: expected $folder/$file, found none"
      done
      printf '%-4s %-6s %9d segments\n' "$language" "$split" "$(wc -l <"$folder/txt/$split.$TARGET")"
    done
  done
}

costs() {
  local tokens=${batches[1]} frequency=${batches[3]} trainings
  trainings=$(awk -v seeds="$(wc -w <<<"$SEEDS")" -v systems="$(wc -w <<<"$SYSTEMS")" \
    -v seeded="$(wc -w <<<"$SEEDED")" 'BEGIN { print systems + (seeds - 1) * seeded }')
  awk -v base="$BASE_UPDATES" -v on="$UPDATES" -v bases="$(wc -w <<<"$SEEDS")" -v n="$trainings" \
    -v frames=$((tokens * frequency)) -v parameters="$parameters" -v encoder="$encoder" \
    -v positions="$positions" -v decoder="$decoder" -v tflops="$GPU_TFLOPS" -v kept="$AVERAGE" 'BEGIN {
    # 6 operations for a parameter and position; about 4 tokens a second of speech; attention not counted
    operations = 6e6 * (encoder * positions + decoder * 4) / (tflops * 1e12) * frames / 100 / 3600
    printf "estimate, nothing here was measured: %d base models of at most %.1f GPU hours, %d systems of %.1f", \
      bases, base * operations, n, on * operations
    printf " (GPU_TFLOPS=%s);\n%d million parameters, %.0f GB of memory for them, their gradients and Adam in fp32,", \
      tflops, parameters, parameters * 16e6 / 1e9
    printf " activations not counted;\n%.0f GB for the checkpoints of a training\n", (kept + 2) * parameters * 12e6 / 1e9
  }'
}

prepare_data() {
  fairseq-gist prepare "$CORPUS" --out "$DATA" --target "$TARGET" --languages "${LANGUAGES// /,}" \
    --splits "${SPLITS// /,}" --vocab-size "$VOCABULARY"
}
