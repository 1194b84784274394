#!/usr/bin/env bash
# peft 0.21.2 on T5 of transformers 5.24.0, torch 2.13.0: what learns of the token embedding? The embedding has three names,
# shared, encoder.embed_tokens and decoder.embed_tokens, one weight, and three modules; both stacks read through their own
# module, and nothing reads through `shared`, though get_input_embeddings() gives that one.
#   - LoRA with target_modules ["shared"] counts trainable parameters, on which no logit depends: the loss has no gradient.
#   - modules_to_save ["shared"] stores a copy that nothing reads and that never learns; beside LoRA on q no error tells.
#     Only trainable_token_indices, which looks for all names of the weight, reaches both stacks and the tied head.
#   - "embed_tokens" in their place makes two adapters, one for each stack, that drift apart; the tied head has neither.
#
# Seen: for each setting, whether noise in what trains changes a logit, and what the encoder gives, and how many of its
# tensors get a gradient.
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
HF_HUB_OFFLINE=1 TRANSFORMERS_VERBOSITY=error "$python" -W ignore - "${packages[@]}" <<'END'
import importlib.metadata, sys
for name, version in (package.split("==") for package in sys.argv[1:]):
    if (found := importlib.metadata.version(name).split("+")[0]) != version:
        print(f"{name} {version} is needed; here: {found}"), sys.exit(2)
import torch
from peft import LoraConfig, get_peft_model
from transformers import T5Config, T5ForConditionalGeneration

def new():
    torch.manual_seed(0)
    return T5ForConditionalGeneration(T5Config(
        vocab_size=40, d_model=16, d_kv=4, num_heads=4, d_ff=24, num_layers=2, decoder_start_token_id=0,
        dropout_rate=0.0)).eval()

pair = {"input_ids": torch.tensor([[5, 6, 7, 1]]), "labels": torch.tensor([[8, 9, 1]])}
with torch.no_grad():
    plain = new()(**pair)
print("get_input_embeddings() is", [n for n, m in new().named_modules() if m is new().get_input_embeddings() or n == "shared"])
results = {}
for settings in ({"target_modules": ["shared"]}, {"modules_to_save": ["shared"]}, {"trainable_token_indices": [5, 6]},
                 {"target_modules": ["embed_tokens"]}, {"modules_to_save": ["embed_tokens"]}):
    model = get_peft_model(new(), LoraConfig(task_type="SEQ_2_SEQ_LM", r=2, **{"target_modules": ["q"], **settings}))
    own = {n.removeprefix("base_model.model."): p for n, p in model.named_parameters()
           if p.requires_grad and ".q." not in n}
    torch.manual_seed(1)
    for p in own.values():
        p.data += 0.3 * torch.randn_like(p)
    output = model.eval()(**pair)
    moved = (output.logits - plain.logits).abs().max().item() > 1e-3
    read = (output.encoder_last_hidden_state - plain.encoder_last_hidden_state).abs().max().item() > 1e-3
    if output.loss.requires_grad:
        output.loss.backward()
    learning = sum(p.grad is not None and p.grad.abs().max().item() > 0 for p in own.values())
    key = " ".join(f"{k}={v}" for k, v in settings.items())
    results[key] = (moved, read, output.loss.requires_grad, learning, len(own))
    print(f"{key}: logits change: {moved}; the encoder's states: {read}; the loss has a gradient: {output.loss.requires_grad}; "
          f"{learning} of {len(own)} tensors ({', '.join(own)}) learn")
expected = {"target_modules=['shared']": (False, False, False, 0, 2),
            "modules_to_save=['shared']": (False, False, True, 0, 1),
            "trainable_token_indices=[5, 6]": (True, True, True, 1, 1),
            "target_modules=['embed_tokens']": (True, True, True, 4, 4),
            "modules_to_save=['embed_tokens']": (True, True, True, 2, 2)}
if results != expected:
    print("that has changed"), sys.exit(1)
END
