#!/usr/bin/env bash
# Measures training steps on a random GPT-2 124M, and with REF (the folder of an environment with torch, transformers and
# peft: scripts/fixtures/README.md) the reference's in turn with them.
#
#   Benchmarks/run.sh PEFT_BENCH [REF [OPTION...]]        the options are those of `peft-bench compare`
#
# Results: benchmarks-out/results.json and results.md.
set -euo pipefail
cd "$(dirname "$0")/.."

bench=${1:?usage: Benchmarks/run.sh PEFT_BENCH [REF [OPTION...]]}
reference=${2:-}
shift $(($# < 2 ? $# : 2))
model=benchmarks-out/gpt2-124m

if [[ ! -f $model/model.safetensors ]]; then
    mkdir -p benchmarks-out
    "$bench" model --tokenizer Tests/Fixtures/tokenizers/gpt2 $model
fi
exec "$bench" compare --model $model --data embedded/e2e/train.jsonl \
    ${reference:+--reference "$reference/bin/python"} "$@"
