#!/usr/bin/env bash
# transformers 5.24.0 with bitsandbytes 0.50.2 and torch 2.13.0: what llm_int8_skip_modules leaves unquantized, in 4
# bits too.
# 1. Any list replaces the default: with ["q_proj"], and with [], the output layer is quantized, which it isn't by
#    default.
# 2. An entry counts where the module's whole path ends with it, at whatever character ("j" skips every projection), or
#    where, taken as a regular expression, it matches the path's beginning up to a dot. So "layers.1", "self_attn" and
#    "mlp.gate" skip nothing and nobody is told, "model.layers.1." (the dot is any character) skips layers 1, 10 and
#    11.
#
# Cause: should_convert_module in quantizers/quantizers_utils.py does re.match from the beginning, or endswith.
# Seen (a Llama of 12 layers with 84 projections): how many linear layers stay as they are, the output layer among
# them.
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
source = tempfile.TemporaryDirectory()
LlamaForCausalLM(LlamaConfig(vocab_size=61, hidden_size=32, intermediate_size=64, num_hidden_layers=12,
                             num_attention_heads=2, pad_token_id=None)).save_pretrained(source.name)
found = {}
for skipped in (None, [], ["q_proj"], ["j"], ["layers.1"], ["self_attn"], ["mlp.gate"], ["model.layers.1"],
                ["model.layers.1."], ["lm_head"]):
    model = AutoModelForCausalLM.from_pretrained(
        source.name, dtype=torch.float32, device_map="cpu",
        quantization_config=BitsAndBytesConfig(load_in_4bit=True, llm_int8_skip_modules=skipped))
    kept = [name for name, module in model.named_modules() if type(module) is torch.nn.Linear]
    layers = sorted({int(name.split(".")[2]) for name in kept if name != "lm_head"})
    found[str(skipped)] = len(kept) - ("lm_head" in kept), "lm_head" in kept
    print(f"{skipped}: {found[str(skipped)][0]} projections stay (layers {layers}), the output layer: "
          f"{'lm_head' in kept}")
if found != {"None": (0, True), "[]": (0, False), "['q_proj']": (12, False), "['j']": (84, False),
             "['layers.1']": (0, False), "['self_attn']": (0, False), "['mlp.gate']": (0, False),
             "['model.layers.1']": (7, False), "['model.layers.1.']": (21, False), "['lm_head']": (0, True)}:
    sys.exit("changed: the list is no longer taken as described")
END
