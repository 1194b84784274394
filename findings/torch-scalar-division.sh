#!/usr/bin/env bash
# torch 2.13.0: a number divided by a tensor, 127.0 / x, isn't the correctly rounded quotient, though x / 127.0, x / y
# and torch.div(127.0, x) are. In a quarter of all float32 (and float64) values the last bit is another.
#
# Cause: Tensor.__rdiv__ (torch/_tensor.py) is self.reciprocal() * other, which rounds twice.
# It matters where codes depend on it: bitsandbytes 0.50.2 on a CPU quantizes to 8 bits by round(A * (127.0 / absmax)),
# in float32 after float16. Of a row with 0.796875 and 0.3984375, half of it, the second gets 64, as 63.500004 is
# rounded; with the quotient as IEEE 754 has it that is 63.499996, and the code 63. Whoever writes the same codes has
# to divide so.
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
from bitsandbytes.functional import int8_vectorwise_quant
torch.manual_seed(0)
different = {}
for dtype in (torch.float32, torch.float64):
    x = torch.rand(1_000_000, dtype=dtype) + 0.1
    exact = torch.full_like(x, 127) / x
    different[dtype] = (127.0 / x != exact).double().mean().item()
    twice = torch.equal(127.0 / x, 127.0 * (1.0 / x)) and torch.equal(127.0 / x, x.reciprocal() * 127.0)
    others = torch.equal(torch.div(127.0, x), exact)
    print(f"{dtype}: 127.0 / x differs from the quotient in {different[dtype]:.1%}; it is 127 times the reciprocal: "
          f"{twice}; torch.div(127.0, x) is the quotient: {others}")
    if not (0.1 < different[dtype] < 0.4 and twice and others): sys.exit("changed: division is no longer so")
row = torch.tensor([[0.796875, 0.3984375]])
codes = int8_vectorwise_quant(row.half())[0].flatten().tolist()
by_reciprocal = (row * (127.0 / row.max())).flatten()[1].item()
by_quotient = (row * (torch.tensor(127.0) / row.max())).flatten()[1].item()
print(f"0.3984375 of 0.796875: {by_reciprocal:.6f}, by the quotient {by_quotient:.6f}; bitsandbytes' codes: {codes}")
if codes != [127, 64] or round(by_quotient) != 63: sys.exit("changed: bitsandbytes' codes are no longer as described")
END
