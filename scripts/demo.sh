#!/usr/bin/env bash
# The demonstration: fine-tunes the embedded model on the embedded data and shows what came of it.
#
#   scripts/demo.sh [PEFT]
#
# PEFT is the built tool. THREADS limits the processors that it uses.
set -euo pipefail
cd "$(dirname "$0")/.."

peft=${1:-.build-static/release/peft}
threads=${THREADS:+--threads $THREADS}
base=embedded/base
data=embedded/e2e/dev.jsonl
adapter=runs/demo
merged=runs/demo-merged
results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT

title() { printf '\n== %s\n' "$*"; }
# A number out of the indented JSON that `peft eval --json` prints: the nth value of a key.
value() { sed -n 's/^ *"'"$2"'": \([-0-9.e]*\),\{0,1\}$/\1/p' "$1" | sed -n "${3:-1}p"; }

started=$SECONDS

title "Fine-tune $base with configs/demo.yaml"
"$peft" train --config configs/demo.yaml --overwrite $threads

title "Evaluate on $data: the base model and the tuned one, every prompt with all its references"
"$peft" eval --config configs/demo.yaml --adapter $adapter --data $data --rouge --compare-base --json $threads \
    >"$results/tuned.json"
cat "$results/tuned.json"

title "Three generations, before and after"
sed -n 's/^{"mr": "\([^"]*\)".*/\1/p' $data | uniq | sed -n '1p;20p;40p' >"$results/prompts.txt"
template='{mr}\n'
while IFS= read -r prompt; do
    printf '\nprompt  %s\n' "$prompt"
    rendered=$(printf '%s\n.' "$prompt")
    rendered=${rendered%.}
    for side in base tuned; do
        options=()
        if [[ $side == tuned ]]; then options=(--adapter $adapter); fi
        printf '%-7s ' "$side"
        "$peft" generate --base $base "${options[@]}" --prompt "$rendered" --max-new-tokens 80 $threads | head -n 3
    done
done <"$results/prompts.txt"

title "Merge the adapter into the base model"
rm -rf $merged
"$peft" merge --base $base --adapter $adapter --output $merged --dtype float32 $threads

title "Evaluate the merged model: the same numbers"
"$peft" eval --config configs/demo.yaml --base $merged --data $data --rouge --json $threads >"$results/merged.json"
cat "$results/merged.json"

title "Summary, $((SECONDS - started)) s"
