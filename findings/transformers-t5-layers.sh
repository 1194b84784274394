#!/usr/bin/env bash
# transformers 5.24.0, torch 2.13.0: a T5 whose decoder has more layers than its encoder computes logits, and can't generate:
# `IndexError: list index out of range`. The cache is made for `num_hidden_layers`, which T5Config maps to `num_layers`, the
# encoder's; num_decoder_layers isn't asked for. The other way round, and with use_cache=False, it works.
#
# Seen: for each number of layers what forward and generate do.
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
HF_HUB_OFFLINE=1 TRANSFORMERS_VERBOSITY=error "$python" -W ignore - "${packages[@]}" <<'END'
import importlib.metadata, sys
for name, version in (package.split("==") for package in sys.argv[1:]):
    if (found := importlib.metadata.version(name).split("+")[0]) != version:
        print(f"{name} {version} is needed; here: {found}"), sys.exit(2)
import torch
from transformers import T5Config, T5ForConditionalGeneration
ids, results = torch.tensor([[5, 6, 7, 1]]), {}
for encoder, decoder in ((2, 2), (3, 2), (2, 3)):
    torch.manual_seed(0)
    model = T5ForConditionalGeneration(T5Config(
        vocab_size=40, d_model=16, d_kv=4, num_heads=4, d_ff=24, num_layers=encoder, num_decoder_layers=decoder,
        decoder_start_token_id=0)).eval()
    found = []
    for run in (lambda: model(input_ids=ids, decoder_input_ids=ids, use_cache=False),
                lambda: model.generate(ids, max_new_tokens=3, use_cache=False), lambda: model.generate(ids, max_new_tokens=3)):
        try:
            run(), found.append("works")
        except Exception as error:
            found.append(f"{type(error).__name__}: {error}")
    results[encoder, decoder] = found
    print(f"{encoder} layers and {decoder}: forward {found[0]}; generate without cache {found[1]}; generate {found[2]}")
fine = ["works"] * 3
if results != {(2, 2): fine, (3, 2): fine, (2, 3): fine[:2] + ["IndexError: list index out of range"]}:
    print("that has changed"), sys.exit(1)
END
