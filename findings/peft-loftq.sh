#!/usr/bin/env bash
# peft 0.21.2 (bitsandbytes 0.50.2, torch 2.13.0, transformers 5.24.0), init_lora_weights="loftq":
# 1. The pair that makes up for the quantization isn't divided by lora_alpha / r, which the layer multiplies it by.
#    With alpha = 4 r the beginning is farther from the weights than quantization alone.
# 2. It can't run where there is no CUDA (nor XPU): the device is hard-coded. Loading an adapter that began so fails
#    there too, because peft makes the base's weights anew when it loads one.
#
# Cause: loftq_init in utils/loftq_utils.py moves the weight to "cuda"; and the layer's loftq_init stores A and B with
# B A = the low-rank part of W - Q, where pissa_init in the same file divides by the scale first.
set -euo pipefail
packages=(torch==2.13.0 transformers==5.24.0 peft==0.21.2 bitsandbytes==0.50.2 scipy==1.17.1)
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
import inspect, json, pathlib, tempfile, torch
from peft import LoftQConfig, LoraConfig, PeftModel, get_peft_model
from peft.tuners.lora import layer
from peft.utils import loftq_utils

def new():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(128, 256, bias=False))
    model[0].weight.data.normal_()
    return model

def config(alpha):
    return LoraConfig(r=8, lora_alpha=alpha, target_modules=["0"], init_lora_weights="loftq",
                      loftq_config=LoftQConfig(loftq_bits=4, loftq_iter=1))

def attempt(action):
    try:
        action()
        return "works"
    except Exception as error:
        return f"{type(error).__name__}: {error}"

changed = False
if torch.cuda.is_available() or torch.xpu.is_available():
    print("this machine has a device that peft names: only the scale is looked at")
else:
    with tempfile.TemporaryDirectory() as folder:
        get_peft_model(new(), LoraConfig(r=8, target_modules=["0"])).save_pretrained(folder)
        file = pathlib.Path(folder) / "adapter_config.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | {
            "init_lora_weights": "loftq", "loftq_config": {"loftq_bits": 4, "loftq_iter": 1}}))
        for what, action in (("to begin", lambda: get_peft_model(new(), config(8))),
                             ("to load", lambda: PeftModel.from_pretrained(new(), folder))):
            print(f"{what}: {(said := attempt(action))}")
            changed |= "CUDA" not in said
# The scale: peft's own function, with the CPU for the device.
source = inspect.getsource(loftq_utils.loftq_init)
changed |= source.count('"cuda"') != 1
scope = dict(vars(loftq_utils))
exec(source.replace('"cuda"', '"cpu"'), scope)
layer.loftq_init = scope["loftq_init"]
with torch.no_grad():
    weight = new()[0].weight
    tuned = get_peft_model(new(), config(32)).base_model.model[0]
    base, product = tuned.base_layer.weight, tuned.lora_B["default"].weight @ tuned.lora_A["default"].weight
    quantized, paper, actual = (
        ((weight - other).norm() / weight.norm()).item() for other in (base, base + product, tuned(torch.eye(128)).T))
print(f"distance from W: Q {quantized:.4f}, Q + B A {paper:.4f}, the layer with lora_alpha = 4 r {actual:.4f}")
if changed or not paper < quantized < actual: sys.exit("changed: loftq no longer is as described")
END
