"""The step of torch's fused AdamW on as many parameters as are asked for: reference_optimizer.py PARAMETERS STEPS."""

import json
import sys
import time

import torch

count, steps = int(sys.argv[1]), int(sys.argv[2])
# In tensors of the size of a large layer's weight, as a model has them.
sizes = [2_359_296] * (count // 2_359_296) + [count % 2_359_296]
parameters = [torch.nn.Parameter(torch.randn(size) * 0.02) for size in sizes if size]
for parameter in parameters:
    parameter.grad = torch.randn(parameter.numel()) * 1e-3
optimizer = torch.optim.AdamW(parameters, lr=1e-6, weight_decay=0.01, fused=True)
seconds = []
for step in range(steps + 1):
    start = time.perf_counter()
    optimizer.step()
    if step:
        seconds.append(time.perf_counter() - start)
print(json.dumps({"seconds": min(seconds)}))
