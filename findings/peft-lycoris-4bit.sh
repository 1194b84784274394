#!/usr/bin/env bash
# peft 0.21.2 with bitsandbytes 0.50.2, torch 2.13.0 and transformers 5.24.0: LoHa and LoKr on a base in 4 bits are
# installed without a word, counted as trainable, and fail in the first forward pass. On a base in 8 bits they train,
# and their shapes are right, but merging fails.
#
# Cause: the layers of tuners/loha and tuners/lokr take shape and values from base_layer.weight and know nothing of
# bitsandbytes' classes, as LoRA and IA3 do. In Linear4bit that weight is a column of packed bytes [n / 2, 1]; in
# Linear8bitLt it has the right shape, and only adding floats to its integers fails.
set -euo pipefail
packages=(torch==2.13.0 transformers==5.24.0 peft==0.21.2 bitsandbytes==0.50.2)
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
from peft import LoHaConfig, LoKrConfig, get_peft_model
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, LlamaConfig, LlamaForCausalLM
from transformers.utils import logging
logging.disable_progress_bar(), notices.disable(notices.WARNING)
torch.manual_seed(0)
tokens = torch.tensor([[5, 6, 7, 8, 9]])
folder = tempfile.TemporaryDirectory()
LlamaForCausalLM(LlamaConfig(vocab_size=61, hidden_size=64, intermediate_size=128, num_hidden_layers=1,
                             num_attention_heads=2, pad_token_id=None)).save_pretrained(folder.name)

def attempt(action):
    try:
        action()
        return "works"
    except Exception as error:
        return f"{type(error).__name__}: {error}"

found = {}
for bits in (4, 8):
    for method, Config in (("LoHa", LoHaConfig), ("LoKr", LoKrConfig)):
        base = AutoModelForCausalLM.from_pretrained(
            folder.name, dtype=torch.float32, device_map="cpu",
            quantization_config=BitsAndBytesConfig(**{f"load_in_{bits}bit": True}))
        model = get_peft_model(base, Config(task_type="CAUSAL_LM", r=2, target_modules=["q_proj"])).train()
        own = {name.split("q_proj.")[1].replace(".default", ""): tuple(parameter.shape)
               for name, parameter in model.named_parameters() if "hada" in name or "lokr" in name}
        train = attempt(lambda: model(input_ids=tokens, labels=tokens).loss.backward())
        merge = attempt(model.merge_and_unload)
        print(f"{bits} bits, {method}: {own}\n    forward and backward: {train}\n    merge: {merge}")
        found[bits, method] = train.split(":")[0], merge.split(":")[0]
trains = {key: train for key, (train, _) in found.items()}
if trains != {(4, "LoHa"): "RuntimeError", (4, "LoKr"): "RuntimeError", (8, "LoHa"): "works", (8, "LoKr"): "works"}:
    sys.exit("changed: LoHa and LoKr no longer train as described")
if any(merge != "RuntimeError" for (bits, _), (_, merge) in found.items() if bits == 8):
    sys.exit("changed: LoHa and LoKr no longer merge as described")
END
