#!/usr/bin/env bash
# Times training steps (Benchmarks/lora.yaml) and prints the median and the peak memory.
#
#   Benchmarks/run.sh PEFT [REF]
#
# PEFT is the built tool. With REF, the folder of the reference environment (scripts/fixtures/README.md), both sides load
# the same files, take turns, and are printed beside each other. THREADS and ROUNDS are taken from the environment.
set -euo pipefail
cd "$(dirname "$0")/.."

peft=${1:?usage: Benchmarks/run.sh PEFT [REF]}
reference=${2:+$(cd "$2" && pwd)/bin/python}
threads=${THREADS:-$(nproc)}
rounds=${ROUNDS:-2}
steps=5 # after one that warms up
model=benchmarks-out/gpt2-124m
extra=()

mkdir -p benchmarks-out
if [[ -n $reference ]]; then
    [[ -f $model/model.safetensors ]] || "$reference" Benchmarks/make_model.py $model --tokenizer embedded/base
else
    # The same sizes from the seed; then the weights are in memory instead of mapped.
    if [[ ! -f $model/model.safetensors ]]; then
        mkdir -p $model
        cp embedded/base/tokenizer*.json $model/
        echo '{"model_type": "gpt2"}' >$model/config.json
        extra=(--set model.init=random)
    fi
fi

# The number of a key in each line of JSON lines.
numbers() { sed -n 's/.*"'"$1"'": *\([0-9.e+-]*\).*/\1/p' "$2"; }
median() { sort -g | awk '{ x[NR] = $1 } END { print (x[int((NR + 1) / 2)] + x[int(NR / 2) + 1]) / 2 }'; }

: >benchmarks-out/ours.seconds
: >benchmarks-out/reference.seconds
for ((round = 1; round <= rounds; round++)); do
    "$peft" train --config Benchmarks/lora.yaml --overwrite --quiet --threads "$threads" \
        --set training.max_steps=$((steps + 1)) "${extra[@]}"
    numbers elapsed_seconds benchmarks-out/run/metrics.jsonl |
        awk 'NR > 1 { print $1 - before } { before = $1 }' >>benchmarks-out/ours.seconds
    if [[ -n $reference ]]; then
        "$reference" Benchmarks/reference.py --model $model --threads "$threads" --steps $steps \
            >benchmarks-out/reference.jsonl
        sed -n "2,$((steps + 1))p" benchmarks-out/reference.jsonl >benchmarks-out/reference.steps
        numbers seconds benchmarks-out/reference.steps >>benchmarks-out/reference.seconds
    fi
done

printf 'LoRA step, r 8 on c_attn, 4 × 256 tokens, GPT-2 124M, %s threads, median of %s\n' \
    "$threads" "$(wc -l <benchmarks-out/ours.seconds)"
print_row() { awk -v n="$1" -v s="$2" -v m="$3" 'BEGIN { printf "%-10s %8.3f s  %8.0f MB\n", n, s, m / 1e6 }'; }
ours=$(median <benchmarks-out/ours.seconds)
ours_memory=$(numbers peak_memory_bytes benchmarks-out/run/metrics.jsonl | tail -n 1)
print_row peft "$ours" "$ours_memory"
if [[ -n $reference ]]; then
    theirs=$(median <benchmarks-out/reference.seconds)
    theirs_memory=$(numbers peak_memory_bytes benchmarks-out/reference.jsonl | tail -n 1)
    print_row reference "$theirs" "$theirs_memory"
    awk -v a="$ours" -v b="$theirs" -v c="$ours_memory" -v d="$theirs_memory" \
        'BEGIN { printf "%.2f times as fast, with %.2f of the memory\n", b / a, c / d }'
fi
