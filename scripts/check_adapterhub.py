"""Checks that AdapterHub's library reads an adapter folder and computes the same logits from it.

    ADAPTERS/bin/python scripts/check_adapterhub.py BASE ADAPTER LOGITS.json [ADAPTER LOGITS.json …] [--bound 1e-5]

LOGITS.json and the result are those of check_adapter.py; exits with 1 too where a tensor is missing or unexpected.
"""

import argparse
import sys

import adapters
import torch
from transformers import GPT2LMHeadModel

from checking import compare


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base")
    parser.add_argument("pairs", nargs="+", metavar="ADAPTER LOGITS.json")
    parser.add_argument("--bound", type=float, default=1e-5)
    arguments = parser.parse_args()
    for adapter, logits in zip(arguments.pairs[::2], arguments.pairs[1::2], strict=True):
        model = GPT2LMHeadModel.from_pretrained(arguments.base, torch_dtype=torch.float32)
        adapters.init(model)
        found = {}
        name = model.load_adapter(adapter, use_safetensors=True, set_active=True, with_head=False, loading_info=found)
        if found.get("missing_keys") or found.get("unexpected_keys"):
            sys.exit(f"{adapter}: {found}")
        model.set_active_adapters(name)
        compare(model.eval(), logits, arguments.bound)


if __name__ == "__main__":
    main()
