# shellcheck shell=bash disable=SC2034  # run.sh reads these
# Settings of run.sh for the open corpus: phrases of the Unicode CLDR, spoken by eSpeak NG. Two cores
# need about two hours. Any of these can be set in the environment instead.

: "${SEEDS:=1 2 3}"           # the first for every system; all for those of SEEDED
: "${SEEDED:=shared joint random-2.5 gradient-2.5}"
: "${BUDGETS:=1.5 2.0 2.5 3.0 3.5}"  # of random and gradient, in sizes of the shared model
: "${SHARED_UPDATES:=1200}"   # of the model that the others start from
: "${UPDATES:=300}"           # of each other system, on top
: "${PATIENCE:=-1}"           # validations without improvement after which a system stops; -1: none
: "${SAVE_EVERY:=50}"          # updates between validations and checkpoints
: "${AVERAGE:=3}"             # checkpoints that are averaged
: "${ADAPTER_DIM:=128}"       # bottleneck of the adapters
: "${BIPARTITION_AT:=40,80,120,160}"  # updates at which bipartition splits
: "${BIPARTITION_SPLITS:=8}"  # units split at each
: "${BIPARTITION_BUDGET:=2.5}"
: "${CHUNKS:=8}"              # of the data that gradients are measured on
: "${SAMPLING_TEMPERATURE:=1}"
: "${DATA:=$OUT/data}"
: "${START:=}"                # a checkpoint in place of the shared model's training
: "${TEST:=tst-COMMON}"
: "${VALID:=dev_de,dev_es,dev_fr,dev_it,dev_nl,dev_pt,dev_ro,dev_ru}"
: "${DEVICE:=--cpu}"          # empty: a GPU

prepare_data() {
  fairseq-gist corpus cldr "$OUT/corpus" --size "${CORPUS_SIZE:-small}" --seed 1
  fairseq-gist prepare "$OUT/corpus" --out "$DATA" --vocab-size "${VOCABULARY:-600}" --specaugment none
}

model=(
  --arch gist_s2t_transformer_xs --encoder-layers 3 --decoder-layers 2
  --encoder-embed-dim 128 --decoder-embed-dim 128 --encoder-ffn-embed-dim 512
  --decoder-ffn-embed-dim 512 --encoder-attention-heads 4 --decoder-attention-heads 4
  --conv-channels 256 --dropout 0.1 --attention-dropout 0 --activation-dropout 0
)
batches=(--batch-size 16 --batch-size-valid 100 --num-workers 0)
joint_batches=(--multiway-batches)  # of systems with all languages
from_scratch=(--lr 2e-3 --lr-scheduler inverse_sqrt --warmup-updates 200)
trained_on=(--lr 8e-4 --lr-scheduler inverse_sqrt --warmup-updates 50)
generation=(--batch-size 64 --max-len-b 40)
