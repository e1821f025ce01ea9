# shellcheck shell=bash disable=SC2034  # run.sh reads these
# Settings of run.sh for MuST-C as examples/mustc prepares it, at the paper's sizes; what the paper
# doesn't say is as in examples/mustc. The full run has not been made. Any of these can be set in the
# environment instead.

: "${SEEDS:=1 2 3}"
: "${SEEDED:=joint random-190.6M gradient-190.6M}"
: "${BUDGETS:=114.3M 156.2M 190.6M 228.9M 3.5}"  # the paper's; the last is everything split
: "${SHARED_UPDATES:=100000}"
: "${UPDATES:=50000}"         # at most: PATIENCE ends it
: "${PATIENCE:=10}"
: "${SAVE_EVERY:=500}"
: "${AVERAGE:=10}"
: "${ADAPTER_DIM:=512}"
: "${BIPARTITION_AT:=2000,4000,6000,8000,10000}"
: "${BIPARTITION_SPLITS:=16}"
: "${BIPARTITION_BUDGET:=190.6M}"
: "${CHUNKS:=8}"
: "${SAMPLING_TEMPERATURE:=1}"
: "${DATA:?the folder that examples/mustc/10_prepare.sh wrote}"
: "${START:=}"                # the multilingual model to start from; none: it is trained first
: "${TEST:=tst-COMMON}"
: "${VALID:=dev_de,dev_es,dev_fr,dev_it,dev_nl,dev_pt,dev_ro,dev_ru}"
: "${DEVICE:=}"

prepare_data() {
  [ -r "$DATA/config_st.yaml" ] || fail "$DATA has no config_st.yaml; run examples/mustc/10_prepare.sh"
}

model=(--arch gist_s2t_transformer_m)
batches=(
  --max-tokens 40000 --update-freq 8 --clip-norm 10 --num-workers 4 --ddp-backend legacy_ddp
  --skip-invalid-size-inputs-valid-test
)
joint_batches=()
from_scratch=(--lr 2e-3 --lr-scheduler inverse_sqrt --warmup-updates 10000)
trained_on=(--lr 6e-4 --lr-scheduler inverse_sqrt --warmup-updates 1000)
generation=(--max-tokens 50000)
