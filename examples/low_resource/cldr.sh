# shellcheck shell=bash disable=SC2034  # run.sh reads these
# Settings of run.sh for the open stand-in: phrases of the Unicode CLDR, spoken by eSpeak NG in four
# languages with 1,200, 600, 300 and 150 phrases of training. Any of these can be set in the
# environment instead.

: "${LANGUAGES:=de es pt ru}"
: "${SIZES:=de=600,pt=300,ru=150}"  # phrases of training, each in two voices; Spanish has 1,200
: "${SYSTEMS:=unified gdps gdps-random gdps-25 gdps-50 gdps-75 gdps-2-groups gdps-without-a gdps-without-c}"
: "${SEEDS:=1 2 3}"           # the first for every system; all for those of SEEDED
: "${SEEDED:=unified gdps gdps-random}"
: "${JOBS:=1}"                # systems that are trained at a time
: "${OMP_NUM_THREADS:=1}"     # of each
: "${BASE_UPDATES:=600}"      # of the model that the others start from
: "${UPDATES:=300}"           # of each other system, on top
: "${PATIENCE:=-1}"           # validations without improvement after which a system stops; -1: none
: "${SAVE_EVERY:=60}"         # updates between validations and checkpoints
: "${AVERAGE:=3}"             # checkpoints that are averaged
: "${MEASURE_ON:=multiway}"   # subset whose gradients are measured
: "${CHUNKS:=10}"             # of that subset
: "${UNITS:=}"                # modules to decide on; empty: every FFN2 of the encoder
: "${SAMPLING_TEMPERATURE:=1}"
: "${DATA:=$OUT/data}"
: "${START:=}"                # a checkpoint in place of the base model's training
: "${VALID:=dev}"
: "${TEST:=tst-COMMON}"
: "${NUM_WORKERS:=0}"
: "${DEVICE:=--cpu}"          # empty: a GPU

TAGS=0           # tokens in front of every target that are given, not learnt
task_options=()

check_data() { :; }

costs() { :; }

prepare_data() {
  fairseq-gist corpus cldr "$OUT/corpus" --direction many-to-one --languages "${LANGUAGES// /,}" \
    --size "${CORPUS_SIZE:-small}" --sizes "$SIZES" --seed 1
  fairseq-gist prepare "$OUT/corpus" --out "$DATA" --target en --vocab-size "${VOCABULARY:-160}" \
    --specaugment none
}

model=(
  --arch gist_s2t_conformer --encoder-layers 3 --decoder-layers 2
  --encoder-embed-dim 96 --decoder-embed-dim 96 --encoder-ffn-embed-dim 384
  --decoder-ffn-embed-dim 384 --encoder-attention-heads 4 --decoder-attention-heads 4
  --conv-channels 128 --depthwise-conv-kernel-size 15 --dropout 0
)
batches=(--batch-size 32 --batch-size-valid 100)
from_scratch=(--lr 2e-3 --lr-scheduler inverse_sqrt --warmup-updates 150)
trained_on=(--lr 8e-4 --lr-scheduler inverse_sqrt --warmup-updates 50)
generation=(--batch-size 100 --lenpen 0.6 --max-len-b 40)
