# shellcheck shell=bash disable=SC2034
# Settings of the recipe. What the environment sets wins over the defaults here, and a file that is
# named in CONFIG=FILE (of lines like these) over both.
if [ -n "${CONFIG:-}" ]; then
  [ -f "$CONFIG" ] || fail "CONFIG=$CONFIG: there is no such file"
  # shellcheck source=/dev/null
  . "$CONFIG"
fi

# -- where things are
MUSTC=${MUSTC:-}                  # folder with en-de/data/train/{txt,wav} and so on, unpacked by you
OUT=${OUT:-runs/mustc}            # everything the recipe writes
DATA=${DATA:-$OUT/data}           # the prepared data: as large as is said by 00_check.sh

# -- start from an existing stock checkpoint instead of training (20 and 30 are skipped then)
START=${START:-}                  # such as fairseq's mustc_multilingual_st_transformer_m.pt
VOCABULARY=${VOCABULARY:-}        # prefix of its vocabulary: PREFIX.model and PREFIX.txt

# -- data
LANGUAGES=${LANGUAGES:-de es fr it nl pt ro ru}
SPLITS=${SPLITS:-train dev tst-COMMON}
MULTIWAY_FROM=${MULTIWAY_FROM:-dev}  # split, or several with commas, to find multi-way aligned data in
MULTIWAY_TOLERANCE=${MULTIWAY_TOLERANCE:-0.1}  # seconds
VOCAB_SIZE=${VOCAB_SIZE:-10000}
ASR_VOCAB_SIZE=${ASR_VOCAB_SIZE:-5000}
MAX_FRAMES=${MAX_FRAMES:-3000}

# -- model: s2t_transformer_$MODEL, with further options of fairseq-train
MODEL=${MODEL:-m}
MODEL_OPTIONS=${MODEL_OPTIONS:-}

# -- training: a batch is MAX_TOKENS frames x UPDATE_FREQ x GPUs; with 4 GPUs take UPDATE_FREQ=2
MAX_TOKENS=${MAX_TOKENS:-40000}
UPDATE_FREQ=${UPDATE_FREQ:-8}
WARMUP=${WARMUP:-10000}
ASR_LR=${ASR_LR:-1e-3}
ST_LR=${ST_LR:-2e-3}
ASR_UPDATES=${ASR_UPDATES:-100000}  # at most
ST_UPDATES=${ST_UPDATES:-100000}
CLIP_NORM=${CLIP_NORM:-10}
PATIENCE=${PATIENCE:-10}          # validations without a better one, then training stops
AVERAGE=${AVERAGE:-10}            # last epochs to average
TEMPERATURE=${TEMPERATURE:-}      # of --sampling-temperature
TRAIN_OPTIONS=${TRAIN_OPTIONS:-}  # for every training, such as "--fp16 --tensorboard-logdir tb"
ST_OPTIONS=${ST_OPTIONS:-}        # for trainings of translation, such as --multiway-batches
NUM_WORKERS=${NUM_WORKERS:-4}
SEED=${SEED:-1}
CPU=${CPU:-0}                     # 1: don't use a GPU

# -- differentiation: the systems that are trained on from the start; "shared" splits nothing and is
# what the others have to be compared with, all others are policies of fairseq-gist plan
SYSTEMS=${SYSTEMS:-shared gradient}
SIZE_BUDGET=${SIZE_BUDGET:-190.6M}
CHUNKS=${CHUNKS:-8}
RECORD_TOKENS=${RECORD_TOKENS:-20000}
TUNE_LR=${TUNE_LR:-6e-4}
TUNE_WARMUP=${TUNE_WARMUP:-1000}
TUNE_UPDATES=${TUNE_UPDATES:-50000}

# -- evaluation
TEST_SUBSETS=${TEST_SUBSETS:-tst-COMMON}  # or tst-COMMON_de tst-COMMON_es ...
BEAM=${BEAM:-5}
LENPEN=${LENPEN:-0.6}
TEST_TOKENS=${TEST_TOKENS:-50000}
GENERATE_OPTIONS=${GENERATE_OPTIONS:-}

# -- for the estimates of cost only: what a GPU does in such training, in 10^12 operations a second
GPU_TFLOPS=${GPU_TFLOPS:-20}
