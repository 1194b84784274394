#!/usr/bin/env bash
# peft 0.21.2 on T5 of transformers 5.24.0, torch 2.13.0: what does a prefix of PrefixTuningConfig mean, once with its
# default num_transformer_submodules of 2 (for SEQ_2_SEQ_LM), once with 1?
#   - 2: the tensor is cut into groups of four where each layer has two, its keys and values, so that the decoder's layer i
#     reads pair 2i modulo the number of layers L. With L even half of the prefix gets no gradient, is saved, and never
#     read; layers i and i + L/2 share theirs. The encoder and the attention to it have none.
#   - 1: the pairs are the layers' own, but they come in a cache that isn't an encoder-decoder's: the attention to the source
#     appends its keys to those of the self-attention and reads them all, the prefix and the target's own tokens, later ones
#     too. A token's logits depend on those behind it, so that training sees what it should predict, and says nothing. A
#     batch with padding in its sources is an error.
#
# Seen: the pairs that get a gradient; the largest change of a target's first logits by its last token; what a batch does.
set -euo pipefail
packages=(torch==2.13.0 transformers==5.24.0 peft==0.21.2)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python=${REF:+$REF/bin/python}
if [[ -z $python ]]; then
    python3 -m venv "$folder/venv"
    python=$folder/venv/bin/python
    "$python" -m pip install --quiet "${packages[@]/%torch==2.13.0/torch==2.13.0+cpu}" 2>/dev/null ||
        "$python" -m pip install --quiet "${packages[@]}" || exit 2
fi
HF_HUB_OFFLINE=1 TRANSFORMERS_VERBOSITY=error "$python" -W ignore - "${packages[@]}" <<'END'
import importlib.metadata, sys
for name, version in (package.split("==") for package in sys.argv[1:]):
    if (found := importlib.metadata.version(name).split("+")[0]) != version:
        print(f"{name} {version} is needed; here: {found}"), sys.exit(2)
import torch
from peft import PrefixTuningConfig, get_peft_model
from transformers import T5Config, T5ForConditionalGeneration

def new(layers, submodules):
    torch.manual_seed(0)
    model = T5ForConditionalGeneration(T5Config(
        vocab_size=40, d_model=16, d_kv=4, num_heads=4, d_ff=24, num_layers=layers, decoder_start_token_id=0,
        dropout_rate=0.0))
    model = get_peft_model(model, PrefixTuningConfig(
        task_type="SEQ_2_SEQ_LM", num_virtual_tokens=3, num_transformer_submodules=submodules))
    for p in model.parameters():
        if p.requires_grad:
            p.data = torch.randn_like(p)
    return model.eval()

source, target = torch.tensor([[5, 6, 7, 1]]), torch.tensor([[8, 9, 10, 11, 1]])
other = target.clone()
other[0, 3] = 20  # Read behind the logits of the first four.
results = {}
for layers, submodules in ((4, None), (3, None), (4, 1)):
    model = new(layers, submodules)
    output = model(input_ids=source, labels=target)
    output.loss.backward()
    gradient = next(p.grad for p in model.parameters() if p.requires_grad).view(3, layers, 2, 16)
    read = [layer for layer in range(layers) if gradient[:, layer].abs().max() > 0]
    with torch.no_grad():
        ahead = (model(input_ids=source, labels=other).logits - output.logits)[0, :4].abs().max().item()
        try:
            model(input_ids=torch.tensor([[5, 6, 7, 1], [5, 1, 0, 0]]), labels=target.repeat(2, 1),
                  attention_mask=torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]]))
            batch = "fine"
        except RuntimeError as error:
            batch = "RuntimeError"
    results[layers, submodules] = (read, ahead > 1e-2, batch)
    print(f"{layers} layers, num_transformer_submodules {submodules}: pairs with a gradient {read}; logits change by {ahead:.1e} "
          f"with what comes later; a batch with padding: {batch}")
if results != {(4, None): ([0, 2], False, "fine"), (3, None): ([0, 1, 2], False, "fine"),
               (4, 1): ([0, 1, 2, 3], True, "RuntimeError")}:
    print("that has changed"), sys.exit(1)
END
