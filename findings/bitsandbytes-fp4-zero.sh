#!/usr/bin/env bash
# bitsandbytes 0.50.2 (torch 2.13.0) on a CPU, FP4: there are two codes for zero, and a tiny positive value gets the
# negative one. Relative to its block's largest magnitude, 0 < s <= 0.0026 becomes code 8 and comes back as -0.0, while
# 0 itself and -0.0026 <= s < 0 become code 0, +0.0. Equal as numbers; but packed bytes differ from those of an
# implementation that knows one zero or goes by signs, and signs are turned around.
#
# Cause: codes are looked up between the middles of the sorted table (backends/default/ops.py, torch.argsort), in which
# both zeros stand next to each other, code 8 behind code 0, with a bound of 0 between them.
set -euo pipefail
packages=(torch==2.13.0 bitsandbytes==0.50.2)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python=${REF:+$REF/bin/python}
if [[ -z $python ]]; then
    python3 -m venv "$folder/venv"
    python=$folder/venv/bin/python
    "$python" -m pip install --quiet "${packages[@]/%torch==2.13.0/torch==2.13.0+cpu}" 2>/dev/null ||
        "$python" -m pip install --quiet "${packages[@]}" || exit 2
fi
"$python" -W ignore - "${packages[@]}" <<'END'
import importlib.metadata, sys
installed = {package.name: package.version for package in importlib.metadata.distributions()}
for name, version in (package.split("==") for package in sys.argv[1:]):
    if installed.get(name, "none").split("+")[0] != version:
        print(f"{name} {version} is needed; here: {installed.get(name, 'none')}"), sys.exit(2)
import torch
from bitsandbytes.functional import dequantize_4bit, get_4bit_type, quantize_4bit
values = torch.zeros(64)
values[:7] = torch.tensor([1.0, 0.0, 1e-6, 2.6e-3, -1e-6, -2.6e-3, 0.0027])
packed, state = quantize_4bit(values, quant_type="fp4", blocksize=64)
codes = torch.stack([packed.flatten() >> 4, packed.flatten() & 15], 1).flatten()[:7].tolist()
back = dequantize_4bit(packed, state).flatten()[:7]
for value, code, other in zip(values.tolist(), codes, back.tolist()):
    print(f"{value:+9.6f} -> code {code:2} -> {other}")
table = get_4bit_type("fp4", device="cpu")
print(f"codes 0 and 8 stand for {table[0].item()} and {table[8].item()}")
if codes[1:6] != [0, 8, 8, 0, 0] or back[1:6].any() or codes[6] in (0, 8):
    sys.exit("changed: the codes of zero are no longer as described")
END
