#!/usr/bin/env bash
# peft 0.21.2 on a T5 of transformers 5.24.0 whose head is another table than its embedding, as T5 1.1's and FLAN-T5's are;
# torch 2.13.0. transformers notices the two tables and keeps them apart, but its configuration says tie_word_embeddings:
# true (T5Config always does), and peft goes by that: trainable_token_indices puts the rows of the embedding into the head
# as well, at once, before anything was trained. So the logits of those tokens are other ones from the start, and what is
# trained is one row for two tables. With both tables equal, nothing changes.
#
# Seen: the largest difference of a logit that installing trainable_token_indices makes, for the tokens named and for all
# others, with a head of its own and with a tied one.
set -euo pipefail
packages=(torch==2.13.0 transformers==5.24.0 peft==0.21.2)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python=${REF:+$REF/bin/python}
if [[ -z $python ]]; then
    python3 -m venv "$folder/venv"
    python=$folder/venv/bin/python
    "$python" -m pip install --quiet "${packages[@]}" || exit 2
fi
HF_HUB_OFFLINE=1 TRANSFORMERS_VERBOSITY=error "$python" -W ignore - "$folder/model" "${packages[@]}" <<'END'
import importlib.metadata, sys
for name, version in (package.split("==") for package in sys.argv[2:]):
    if (found := importlib.metadata.version(name).split("+")[0]) != version:
        print(f"{name} {version} is needed; here: {found}"), sys.exit(2)
import torch
from peft import LoraConfig, get_peft_model
from transformers import T5Config, T5ForConditionalGeneration

tokens, pair = [5, 6], {"input_ids": torch.tensor([[8, 9, 7, 1]]), "labels": torch.tensor([[8, 9, 1]])}
results = {}
for head in ("own", "tied"):
    torch.manual_seed(0)
    model = T5ForConditionalGeneration(T5Config(
        vocab_size=40, d_model=16, d_kv=4, num_heads=4, d_ff=24, num_layers=2, decoder_start_token_id=0,
        feed_forward_proj="gated-gelu", tie_word_embeddings=False))
    if head == "own":
        model.lm_head.weight = torch.nn.Parameter(torch.randn(40, 16) / 4)
    model.save_pretrained(sys.argv[1])
    model = T5ForConditionalGeneration.from_pretrained(sys.argv[1]).eval()
    apart = model.lm_head.weight.data_ptr() != model.shared.weight.data_ptr()
    with torch.no_grad():
        before = model(**pair).logits
        adapted = get_peft_model(model, LoraConfig(
            task_type="SEQ_2_SEQ_LM", target_modules=["q"], trainable_token_indices=tokens)).eval()
        change = (adapted(**pair).logits - before).abs()
    others = [i for i in range(40) if i not in tokens]
    results[head] = (apart, change[..., tokens].max().item() > 0.1, change[..., others].max().item() > 1e-4)
    print(f"head {head}: two tables: {apart}; the configuration says tied: {model.config.tie_word_embeddings}; "
          f"change of the tokens' logits {change[..., tokens].max().item():.3f}, of all others "
          f"{change[..., others].max().item():.1e}")
if results != {"own": (True, True, False), "tied": (False, False, False)}:
    print("that has changed"), sys.exit(1)
END
