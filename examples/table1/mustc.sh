# shellcheck shell=bash disable=SC2034  # run.sh reads these
# Settings of run.sh for MuST-C, prepared by ../mustc: everything at the paper's sizes. The full run
# has not been made. Any of these can be set in the environment instead.

: "${SEEDS:=1 2 3}"
: "${SEEDED:=joint random-2.5 gradient-2.5}"
: "${BUDGETS:=1.5 156.3M 2.5 3.0 3.5}"
: "${SHARED_UPDATES:=100000}"
: "${UPDATES:=100000}"        # at most: PATIENCE ends it
: "${PATIENCE:=10}"
: "${SAVE_EVERY:=500}"
: "${AVERAGE:=10}"
: "${ADAPTER_DIM:=512}"
: "${BIPARTITION_AT:=2000,4000,6000,8000,10000}"
: "${BIPARTITION_SPLITS:=16}"
: "${BIPARTITION_BUDGET:=2.5}"
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
