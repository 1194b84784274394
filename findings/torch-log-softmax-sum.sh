#!/usr/bin/env bash
# torch 2.13.0 on a CPU, float32: log_softmax, and with it cross_entropy, loses digits over tens of thousands of
# classes, row after row to the same side, so no mean removes it; and the loss of a confident row depends on where in
# the vocabulary its class stands. logsumexp of the same logits is right to the last digits.
#
# Cause: the kernel (ATen/native/cpu/SoftMaxKernel.cpp) adds up exp(x - max) with map_reduce_all of
# ATen/cpu/vec/functional_base.h: one float32 sum per lane of one vector register, from the first class to the last.
# Once a lane has met the greatest class, a 1, the small ones after it are rounded to multiples of 1e-7 and those below
# 6e-8 dropped: the sum comes out too small, the log probabilities too great, the loss too small. logsumexp adds by
# Tensor.sum, which works in a cascade.
# Seen with AVX2 (8 lanes), 8 rows of normal logits of standard deviation 3, mean error of log_softmax against float64:
# 1,000 classes 9e-08; 10,000 4e-07; 50,257 3e-06; 151,936 1e-05; 262,144 3e-05 (logsumexp 1e-06 at most, each upwards).
# One class of 50,257 is 17 above all others, its loss 0.002078 in float64: it is 0.001819, 12.5 % less, where it is the
# first class, and 0.002079 where it is the last one. Machines with other vectors lose another share.
set -euo pipefail
packages=(torch==2.13.0)
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
torch.set_num_threads(1)
torch.manual_seed(0)
print("vectors:", torch.backends.cpu.get_cpu_capability())
same = True
for classes in (1000, 10_000, 50_257, 151_936, 262_144):
    logits = 3 * torch.randn(8, classes)
    exact = logits.double()
    errors = (torch.log_softmax(logits, 1) - torch.log_softmax(exact, 1)).mean(1)
    other = (torch.logsumexp(logits, 1) - torch.logsumexp(exact, 1)).abs().max()
    print(f"{classes:7} classes: log_softmax {errors.mean():+.0e} ({errors.min():+.0e} to {errors.max():+.0e}), "
          f"logsumexp {other:.0e} at most")
    same &= bool(other < 3e-6)
    if classes < 10_000: same &= bool(errors.abs().max() < 1e-6)
    if classes > 100_000: same &= bool(errors.min() > 2e-6)
cross_entropy = torch.nn.functional.cross_entropy
for place in (0, 50_256):
    logits = torch.zeros(1, 50_257)
    logits[0, place] = 17
    loss, exact = (cross_entropy(values, torch.tensor([place])).item() for values in (logits, logits.double()))
    print(f"the right class is number {place}: loss {loss:.6f}, in float64 {exact:.6f}, {loss / exact - 1:+.1%}")
    same &= abs(loss / exact - 1) > 0.03 if place == 0 else abs(loss / exact - 1) < 0.005
if not same: sys.exit("changed: the errors are no longer as described")
END
