# shellcheck shell=bash disable=SC2034  # run.sh reads these
# Settings of run.sh for the paper's languages: Tunisian Arabic, Bemba, Estonian and Irish into
# English, in the layout that docs/data.md describes, unpacked below CORPUS. The full run has not been
# made. Any of these can be set in the environment instead.

: "${CORPUS:?the folder with aeb-en, bem-en, est-en and gle-en}"
: "${LANGUAGES:=aeb bem est gle}"
: "${SPLITS:=train dev test}"
: "${SYSTEMS:=unified gdps gdps-random}"  # run.sh names more
: "${SEEDS:=1 2 3}"           # the first for every system; all for those of SEEDED
: "${SEEDED:=$SYSTEMS}"
: "${JOBS:=1}"                # systems that are trained at a time, all on the same device
: "${OMP_NUM_THREADS:=4}"
: "${BASE_UPDATES:=100000}"   # at most: PATIENCE ends it
: "${UPDATES:=20000}"
: "${PATIENCE:=10}"           # validations without a better mean over the languages
: "${SAVE_EVERY:=1000}"       # updates between validations and checkpoints
: "${AVERAGE:=5}"             # checkpoints that are averaged
: "${MEASURE_ON:=dev}"        # no phrase has to be there in all languages
: "${CHUNKS:=16}"
: "${UNITS:=encoder\.conformer_layers\.11\.ffn2\..*}"  # the paper's; empty: every FFN2
: "${SAMPLING_TEMPERATURE:=5}"
: "${VOCABULARY:=8000}"
: "${DATA:=$OUT/data}"
: "${START:=}"                # a checkpoint in place of the base model's training
: "${VALID:=dev_aeb,dev_bem,dev_est,dev_gle}"
: "${TEST:=test}"
: "${NUM_WORKERS:=4}"
: "${DEVICE:=}"

check_data() {
  local language split folder file
  for language in $LANGUAGES; do
    for split in $SPLITS; do
      folder=$CORPUS/$language-en/data/$split
      for file in "txt/$split.yaml" "txt/$split.$language" "txt/$split.en" wav; do
        [ -r "$folder/$file" ] || fail "CORPUS: expected $folder/$file, found none"
      done
      printf '%-4s %-6s %9d segments\n' "$language" "$split" "$(wc -l <"$folder/txt/$split.en")"
    done
  done
}

prepare_data() {
  fairseq-gist prepare "$CORPUS" --out "$DATA" --target en --languages "${LANGUAGES// /,}" \
    --splits "${SPLITS// /,}" --vocab-size "$VOCABULARY"
}

model=(--arch gist_s2t_conformer --encoder-layers 12 --decoder-layers 6 --dropout 0.1)
batches=(
  --max-tokens 40000 --update-freq 4 --clip-norm 10 --ddp-backend legacy_ddp
  --skip-invalid-size-inputs-valid-test
)
from_scratch=(--lr 1e-3 --lr-scheduler inverse_sqrt --warmup-updates 10000)
trained_on=(--lr 2e-4 --lr-scheduler inverse_sqrt --warmup-updates 1000)
generation=(--max-tokens 50000)
