#!/usr/bin/env bash
# Trains a small multilingual speech translation model on open data, lets it differentiate half way,
# and compares it with the same number of updates without. Usage: run.sh [OUT]
#
# Every step leaves a mark when it is complete, so a second run goes on where the first stopped.
set -euo pipefail

out=${1:-runs/quickstart}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
plugin=$(cd "$here/../../fairseq_gist" && pwd)

updates=${UPDATES:-1800}         # of each system
split_at=${SPLIT_AT:-900}        # when the model differentiates
common=${COMMON:-800}            # updates that both systems share; gradients are recorded after them
size_budget=${SIZE_BUDGET:-2.0}  # times the shared model
seed=${SEED:-1}
languages=(de es fr it nl pt ro ru)
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-2} PYTHONWARNINGS=ignore
# of fairseq's log: losses without those of single languages, validation, what is recorded and decided
progress='
  /\.train \| \{|checkpoint_utils|fairseq\.trainer/d
  /train_inner|valid on|gradient|differentiated|[Ee]rror|^decoder|^plan|^copies|^most/ {
    s/^.*INFO \| (train_inner|fairseq_gist[a-z._]*) \| //
    s/ ?\|? (loss|accuracy|cos)_[a-z_]*[= ][-0-9.]+,?//g
    p
  }'
say() { printf '\n== %s\n' "$*"; }

for tool in fairseq-gist fairseq-train fairseq-generate; do
  command -v "$tool" >/dev/null || {
    echo "run.sh: $tool is not on the PATH; run 'make demo', or pip install '.[fairseq,corpora,report]'" >&2
    exit 1
  }
done
if ((split_at <= common || split_at > updates)); then
  echo "run.sh: expected COMMON < SPLIT_AT <= UPDATES, found $common, $split_at, $updates" >&2
  exit 1
fi
mkdir -p "$out"
settings="updates $updates, split at $split_at, common $common, budget $size_budget, seed $seed"
if [ -e "$out/settings" ] && [ "$(cat "$out/settings")" != "$settings" ]; then
  echo "run.sh: $out was made with: $(cat "$out/settings"); choose another OUT, or remove it" >&2
  exit 1
fi
echo "$settings" >"$out/settings"
data=$out/data
started=$SECONDS

say "1/6 corpus: phrases of the Unicode CLDR, spoken by eSpeak NG"
fairseq-gist corpus cldr "$out/corpus" --size small --seed "$seed"

say "2/6 filterbanks, vocabulary, manifests"
fairseq-gist prepare "$out/corpus" --out "$data" --vocab-size 600 --specaugment none

# train NAME UPDATES [OPTION...]: train until UPDATES, going on from the last checkpoint in NAME
train() {
  local name=$1 until=$2
  shift 2
  if [ -e "$out/$name/done" ]; then
    echo "$out/$name is trained already"
    return
  fi
  fairseq-train "$data" --user-dir "$plugin" --config-yaml config_st.yaml \
    --task gist_speech_to_text --arch gist_s2t_transformer_xs \
    --encoder-layers 3 --decoder-layers 2 --encoder-embed-dim 128 --decoder-embed-dim 128 \
    --encoder-ffn-embed-dim 512 --decoder-ffn-embed-dim 512 --encoder-attention-heads 4 \
    --decoder-attention-heads 4 --conv-channels 256 --dropout 0.1 \
    --attention-dropout 0 --activation-dropout 0 \
    --criterion gist_label_smoothed_cross_entropy --label-smoothing 0.1 --ignore-prefix-size 1 \
    --train-subset train --valid-subset dev --multiway-batches --batch-size 16 \
    --batch-size-valid 64 --optimizer adam --lr 2e-3 --lr-scheduler inverse_sqrt \
    --warmup-updates 200 --max-update "$until" --seed "$seed" --cpu --save-dir "$out/$name" \
    --validate-interval 1000 --validate-interval-updates 350 --save-interval 1000 \
    --save-interval-updates 100 --keep-interval-updates 1 --no-epoch-checkpoints \
    --log-interval 50 --log-format simple "$@" 2>&1 |
    tee -a "$out/$name.log" | sed -u -n -E "$progress" || {
      tail -3 "$out/$name.log" >&2
      exit 1
    }
  touch "$out/$name/done"
}

say "3/6 shared training: $common updates that both systems have in common"
mkdir -p "$out/common" "$out/shared" "$out/differentiated"
train common "$common"

say "4/6 the same model, differentiating at update $split_at"
start_from_common() {
  [ -e "$out/$1/checkpoint_last.pt" ] || {
    cp "$out/common/checkpoint_last.pt" "$out/$1/.checkpoint_last.pt"
    mv "$out/$1/.checkpoint_last.pt" "$out/$1/checkpoint_last.pt"
  }
}
start_from_common differentiated
train differentiated "$updates" --differentiate-at "$split_at" --size-budget "$size_budget" \
  --gradients-from multiway --save-gradient-statistics "$out/statistics.npz"

say "5/6 as many updates without differentiation"
start_from_common shared
train shared "$updates"

say "6/6 translation of test sentences and a test voice that no training has heard"
for name in shared differentiated; do
  if [ ! -e "$out/$name/translated" ]; then
    fairseq-generate "$data" --user-dir "$plugin" --config-yaml config_st.yaml \
      --task gist_speech_to_text --gen-subset tst-COMMON --path "$out/$name/checkpoint_last.pt" \
      --batch-size 64 --beam 5 --lenpen 0.6 --prefix-size 1 --max-len-b 40 --cpu \
      --results-path "$out/$name/translations" >"$out/$name.generate.log" 2>&1 || {
        tail -5 "$out/$name.generate.log" >&2
        exit 1
      }
    touch "$out/$name/translated"
  fi
done
fairseq-gist score "shared=$out/shared/translations" \
  "differentiated=$out/differentiated/translations" --data "$data" --subset tst-COMMON \
  --checkpoint "shared=$out/shared/checkpoint_last.pt" \
  --checkpoint "differentiated=$out/differentiated/checkpoint_last.pt" \
  --samples 4 -o "$out/scores.json" | tee "$out/scores.txt"

say "what the model decided"
fairseq-gist show "$out/differentiated/checkpoint_last.pt" | tee "$out/plan.txt"
fairseq-gist report "$out" -o "$out/report"

cat <<END

report      $out/report/index.html
scores      $out/scores.json (and scores.txt)
statistics  $out/statistics.npz
plan        $out/plan.txt
models      $out/{shared,differentiated}/checkpoint_last.pt
logs        $out/{common,shared,differentiated}.log
languages   ${languages[*]}
$((SECONDS - started)) seconds
END
