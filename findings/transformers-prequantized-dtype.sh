#!/usr/bin/env bash
# transformers 5.24.0 with bitsandbytes 0.50.2 and torch 2.13.0: from_pretrained of a folder that was saved in 4 or 8
# bits ignores dtype= for every tensor named `.weight` that isn't quantized, norms, embeddings and output layer, while
# biases are cast. A base saved from bfloat16 and loaded with dtype=torch.float32 still normalises, embeds and gives
# logits in bfloat16, though the same folder before it was quantized, loaded with both arguments, is in float32
# throughout.
#
# Cause: the quantizer's conversions have `.weight` among their source patterns, for the folder's packed tensors, and
# get_new_dtype (quantizers/base.py) casts nothing that goes through one of them.
set -euo pipefail
packages=(torch==2.13.0 transformers==5.24.0 bitsandbytes==0.50.2)
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
installed = {package.name: package.version for package in importlib.metadata.distributions()}
for name, version in (package.split("==") for package in sys.argv[1:]):
    if installed.get(name, "none").split("+")[0] != version:
        print(f"{name} {version} is needed; here: {installed.get(name, 'none')}"), sys.exit(2)
import logging as notices, tempfile, torch
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, LlamaConfig, LlamaForCausalLM
from transformers.utils import logging
logging.disable_progress_bar(), notices.disable(notices.WARNING)
torch.manual_seed(0)
tokens = torch.tensor([[5, 6, 7]])
source = tempfile.TemporaryDirectory()
size = dict(vocab_size=61, hidden_size=64, intermediate_size=128, num_hidden_layers=1, num_attention_heads=2)
model = LlamaForCausalLM(LlamaConfig(**size, attention_bias=True, pad_token_id=None))
model.bfloat16().save_pretrained(source.name)

def types(model):
    kinds = {"weight": set(), "bias": set()}
    for name, parameter in model.named_parameters():
        if parameter.is_floating_point(): kinds[name.split(".")[-1]].add(str(parameter.dtype).split(".")[1])
    kinds["logits"] = {str(model(input_ids=tokens).logits.dtype).split(".")[1]}
    return {key: "/".join(sorted(value)) for key, value in kinds.items()}

changed = False
for bits in (4, 8):
    config = BitsAndBytesConfig(**{f"load_in_{bits}bit": True})
    load = AutoModelForCausalLM.from_pretrained
    with tempfile.TemporaryDirectory() as folder:
        load(source.name, quantization_config=config, device_map="cpu").save_pretrained(folder)
        before = types(load(folder, dtype=torch.float32, device_map="cpu"))
    fresh = types(load(source.name, dtype=torch.float32, quantization_config=config, device_map="cpu"))
    print(f"{bits} bits, dtype=torch.float32: saved quantized {before}\n    quantized while loading {fresh}")
    changed |= before != {"weight": "bfloat16", "bias": "float32", "logits": "bfloat16"}
    changed |= set(fresh.values()) != {"float32"}
if changed: sys.exit("changed: dtype= is no longer taken as described")
END
