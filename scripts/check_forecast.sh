#!/usr/bin/env bash
# Compares what a dry run tells of memory and time with what the run takes:
#     scripts/check_forecast.sh PEFT [FILTER]
# PEFT is the optimised binary; FILTER, a part of a case's name, chooses cases. The machine should do nothing else meanwhile.
# Ends with 1 where memory is off by more than 10 %, or time by more than 15 %. What lies in a scratch file stays in memory as
# long as there is enough, and is no part of what is told, so that a paged run may take more.
set -euo pipefail
peft=$(realpath "$1")
filter=${2:-}
cd "$(dirname "$0")/.."
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
field() { sed -n "s/^ *\"$1\": *\([0-9.e+-]*\),*$/\1/p"; }
worst=0
printf '%-34s %10s %10s %7s %10s %10s %7s\n' case 'told MB' 'taken MB' ratio 'told s' 'taken s' ratio
# name, then settings over configs/demo.yaml.
check() {
    local name=$1
    shift
    [[ $name == *"$filter"* ]] || return 0
    local arguments=(train --config configs/demo.yaml --set "training.output_dir=$folder/run")
    for setting in "$@"; do arguments+=(--set "$setting"); done
    local told taken
    told=$("$peft" "${arguments[@]}" --dry-run --json --quiet 2>/dev/null)
    taken=$("$peft" "${arguments[@]}" --json --quiet 2>/dev/null)
    rm -rf "$folder/run"
    awk -v name="$name" -v tm="$(field peak_memory_bytes <<<"$told")" -v km="$(field peak_memory_bytes <<<"$taken")" \
        -v ts="$(field seconds <<<"$told")" -v ks="$(field elapsed_seconds <<<"$taken")" 'BEGIN {
            m = tm / km; s = ts / ks
            printf "%-34s %10.1f %10.1f %7.2f %10.1f %10.1f %7.2f\n", name, tm / 1e6, km / 1e6, m, ts, ks, s
            exit !((m > 0.9 || name ~ /paged/) && m < 1.1 && s > 0.85 && s < 1.15)
        }' || worst=1
}
check 'lora, prompts shared' training.max_steps=400
check 'lora, dropout' training.max_steps=200 peft.lora_dropout=0.1
check 'full, adamw_8bit' 'peft={method: full}' training.max_steps=100 training.learning_rate=5e-5 training.optim=adamw_8bit
check 'full, paged' 'peft={method: full}' training.max_steps=60 training.learning_rate=5e-5 training.optim=paged_adamw_32bit
check 'last layers, kept states' 'peft={method: last_layers, layers: 1}' training.num_train_epochs=4 \
    'data.train=embedded/e2e/dev.jsonl'
check 'last layers, nothing kept' 'peft={method: last_layers, layers: 1}' training.max_steps=150 \
    training.keep_hidden_states=off
check 'accumulation, checkpointing' training.max_steps=60 training.gradient_accumulation_steps=4 \
    training.gradient_checkpointing=true
check 'evaluations and checkpoints' training.max_steps=120 training.eval_steps=30 training.save_steps=20
check 'group by length' training.max_steps=200 training.train_sampling_strategy=group_by_length
check 'batches of tokens' training.max_steps=200 training.train_batch_tokens=1000 \
    training.per_device_train_batch_size=null
exit $worst
