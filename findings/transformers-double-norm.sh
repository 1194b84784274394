#!/usr/bin/env bash
# transformers 5.24.0: a llama, mistral, qwen2 or qwen3 model after .double() gives logits of type float64 that are
# right to 7 digits: it is no float64 reference, and a check of gradients by differences fails on it. gpt2 is exact.
#
# Cause: their RMSNorm converts its input to float32, whatever it was, and the result back to the input's type.
# torch.nn.RMSNorm with the same weights computes in the input's type; put in its place it makes the model pass. (The
# cosines and sines of rotary positions are float32 numbers as well, and so is the softmax of "eager" attention.)
# Seen: error of the norm alone 5e-08 to 8e-08, of torch's 2e-16; slope along a direction from differences 1e-6 to both
# sides against autograd: off by 3 % to 9 %, with torch's norm by 6e-09 at most; gpt2 2e-09
set -euo pipefail
packages=(torch==2.13.0 transformers==5.24.0)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python=${REF:+$REF/bin/python}
if [[ -z $python ]]; then
    python3 -m venv "$folder/venv"
    python=$folder/venv/bin/python
    "$python" -m pip install --quiet "${packages[@]/%torch==2.13.0/torch==2.13.0+cpu}" 2>/dev/null ||
        "$python" -m pip install --quiet "${packages[@]}" || exit 2
fi
HF_HUB_OFFLINE=1 TRANSFORMERS_VERBOSITY=error "$python" - "${packages[@]}" <<'END'
import importlib.metadata, sys
installed = {package.name: package.version for package in importlib.metadata.distributions()}
for name, version in (package.split("==") for package in sys.argv[1:]):
    if installed.get(name, "none").split("+")[0] != version:
        print(f"{name} {version} is needed; here: {installed.get(name, 'none')}"), sys.exit(2)
import torch
from transformers import AutoConfig, AutoModelForCausalLM
def check(model):
    tokens = torch.tensor([[5, 6, 2, 7, 8]])
    inputs = model.get_input_embeddings()(tokens).detach().requires_grad_()
    direction = torch.randn_like(inputs) / inputs.numel() ** 0.5
    value = lambda point: model(inputs_embeds=point).logits.logsumexp(-1).square().sum()
    assert value(inputs).dtype == torch.float64
    slope = (torch.autograd.grad(value(inputs), inputs)[0] * direction).sum()
    with torch.no_grad(): difference = value(inputs + 1e-6 * direction) - value(inputs - 1e-6 * direction)
    return abs(difference / 2e-6 / slope - 1).item()
changed = False
for family in ("llama", "mistral", "qwen2", "qwen3", "gpt2"):
    torch.manual_seed(0)
    more = {} if family == "gpt2" else dict(intermediate_size=24, num_key_value_heads=2, head_dim=8, pad_token_id=None)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(
        family, vocab_size=11, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, bos_token_id=None,
        eos_token_id=None, **more), attn_implementation="sdpa").double().eval()
    for parameter in model.parameters(): torch.nn.init.normal_(parameter, std=0.3)
    print(f"{family}: gradient off by {(before := check(model)):.0e}")
    changed |= before > 1e-6 if family == "gpt2" else before < 3e-6
    if family == "gpt2": continue
    for name, norm in [pair for pair in model.named_modules() if type(pair[1]).__name__.endswith("RMSNorm")]:
        exact = torch.nn.RMSNorm(norm.weight.numel(), norm.variance_epsilon).double()
        exact.weight = norm.weight
        model.set_submodule(name, exact)
    inputs = torch.randn(9, 16).double()
    true = inputs / (inputs.square().mean(-1, keepdim=True) + exact.eps).sqrt() * exact.weight
    errors = [(module(inputs) - true).abs().max().item() for module in (norm, exact)]
    after = check(model)
    print(f"  its norm {errors[0]:.0e}, torch's {errors[1]:.0e}; gradient with torch's off by {after:.0e}")
    changed |= errors[0] < 1e-9 or errors[1] > 1e-13 or after > 1e-6
if changed: sys.exit("changed: float64 is no longer as described")
END
