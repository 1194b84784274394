#!/usr/bin/env bash
# peft 0.21.2 with bitsandbytes 0.50.2, torch 2.13.0 and transformers 5.24.0: DoRA on a base in 8 bits on a CPU takes
# one forward and backward pass and fails in the second, in training as in evaluation.
#
# Cause: to compute the norm of W + s B A, dequantize_module_weight (peft/utils/integrations.py) takes a weight that is
# on the CPU for one that has been moved, and does module.weight = module.weight.to("cpu"); the Int8Params that comes
# of it has lost its scales (SCB is None).
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
from peft import LoraConfig, get_peft_model
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

changed = torch.cuda.is_available()
for dora in (False, True):
    for training in (True, False):
        base = AutoModelForCausalLM.from_pretrained(
            folder.name, dtype=torch.float32, device_map="cpu",
            quantization_config=BitsAndBytesConfig(load_in_8bit=True))
        model = get_peft_model(base, LoraConfig(task_type="CAUSAL_LM", r=2, use_dora=dora, target_modules=["q_proj"]))
        model.train(training)
        def step():
            loss = model(input_ids=tokens, labels=tokens).loss
            if training: loss.backward()
        said = [attempt(step), attempt(step)]
        print(f"{'DoRA' if dora else 'LoRA'}, {'training' if training else 'evaluating'}: first pass {said[0]}, second "
              f"{said[1]}")
        changed |= [text.split(":")[0] for text in said] != ["works", "AttributeError" if dora else "works"]
if changed: sys.exit("changed: DoRA on 8 bits is no longer as described")
END
