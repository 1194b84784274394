#!/usr/bin/env bash
# The demonstration: fine-tunes the embedded model on the embedded data, and shows what came of it.
#
#   scripts/demo.sh [PEFT]
#
# PEFT is the built tool; THREADS limits the processors that it uses.
set -euo pipefail
cd "$(dirname "$0")/.."

peft=${1:-.build-static/release/peft}
threads=()
if [[ -n ${THREADS:-} ]]; then threads=(--threads "$THREADS"); fi

config=configs/demo.yaml
base=embedded/base
data=embedded/e2e/dev.jsonl
adapter=runs/demo
merged=runs/demo-merged
results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT

title() { printf '\n== %s\n' "$*"; }
# Shows a command as a user types it, and runs it.
run() {
    printf '\n$ peft %s\n' "$*"
    "$peft" "$@" "${threads[@]}"
}

title "Fine-tune the base model with LoRA"
started=$SECONDS
run train --config $config --overwrite
trained=$((SECONDS - started))

title "Measure base and tuned model on 60 unseen prompts, each with all its references"
run eval --config $config --data $data --rouge --compare-base | tee "$results/tuned"

title "Three of these prompts, before and after"
sed -n 's/^{"mr": "\([^"]*\)".*/\1/p' $data | uniq | sed -n '5p;25p;45p' >"$results/prompts"
run generate --base $base --config $config --as-trained --max-new-tokens 60 --json <"$results/prompts"
run generate --adapter $adapter --as-trained --max-new-tokens 60 --json <"$results/prompts"

title "Merge the adapter into the base model"
run merge --adapter $adapter --output $merged --dtype float32 --overwrite

title "Measure the merged model: the same numbers"
run eval --base $merged --config $config --data $data --rouge | tee "$results/merged"

title "Summary: trained in $trained s, all of it $((SECONDS - started)) s"
echo
# Rows of eval's tables: model, loss, perplexity, rouge1, rouge2, rougeL, …
awk -v merged=$merged '
    BEGIN { printf "%-18s %8s %11s %8s\n", "model", "loss", "perplexity", "ROUGE-L" }
    $2 ~ /^[0-9]+\.[0-9]+$/ {
        name = FILENAME ~ /merged$/ ? merged : $1
        printf "%-18s %8s %11s %8s\n", name, $2, $3, $6
    }' "$results/tuned" "$results/merged"

printf '\nTo go on by hand, with the commands of README.md:\n\n    export PATH="%s:$PATH"\n' \
    "$(cd "$(dirname "$peft")" && pwd)"
