#!/usr/bin/env bash
# Measures the tool on random GPT-2 models, and with REF (the folder of an environment with torch, transformers and peft:
# scripts/fixtures/README.md) the reference in turn with it. The models (9 GB with the larger ones) are made when first
# needed.
#
#   Benchmarks/run.sh PEFT_BENCH PEFT [OPTION...]          the options are those of `peft-bench compare`
#
#   REF=DIR       the reference environment
#   ONLY=a,b      some parts only: ONLY=? names them
#   TEXT=FILE     the text for the tokenizer; by default this project's own texts and sources
#   SHAPE=NAME    the shape of another family instead of GPT-2's: smollm2-135m, qwen2.5-0.5b or flan-t5-base
#   LARGE=1       make the models of 355M and 774M parameters and measure them too
#   PAGE=1        put a complete run's tables into docs/speed.md
#
# Results: benchmarks-out/results.json and results.md, of another shape in benchmarks-out/NAME-results; the run before in
# results-before.json.
set -euo pipefail
cd "$(dirname "$0")/.."

bench=${1:?usage: Benchmarks/run.sh PEFT_BENCH PEFT [OPTION...]}
peft=${2:?usage: Benchmarks/run.sh PEFT_BENCH PEFT [OPTION...]}
shift 2
out=benchmarks-out
model=$out/gpt2-124m
mkdir -p $out

make_model() { # FOLDER OPTION...
    [[ -f $1/model.safetensors ]] || "$bench" model --merges Tests/Fixtures/tokenizers/gpt2/merges.u16 "${@:2}" "$1"
}
page=docs/speed.md
if [[ -n ${SHAPE:-} ]]; then
    model=$out/$SHAPE
    make_model $model --shape $SHAPE
    [[ $SHAPE != flan-t5-base ]] || set -- --batch 8 --targets 64 --rank 32 "$@"
    set -- --output $out/$SHAPE-results --marker "bench $SHAPE" "$@"
else
    make_model $model
    make_model $model-bf16 --type bf16
fi
if [[ -n ${LARGE:-} ]]; then
    make_model $model-355m --shape 355m
    make_model $model-774m --shape 774m
fi
text=${TEXT:-$out/text.txt}
if [[ -z ${TEXT:-} ]]; then
    cat README.md CONTRIBUTING.md docs/*.md embedded/*.md $(find Sources -name '*.swift' | LC_ALL=C sort) >$text
fi
exec "$bench" compare --model $model --data embedded/e2e/train.jsonl --evaluation-data embedded/e2e/dev.jsonl \
    --text "$text" --peft "$peft" ${REF:+--reference "$REF/bin/python"} ${ONLY:+--only "$ONLY"} \
    ${PAGE:+--into $page} "$@"
