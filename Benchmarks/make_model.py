"""Writes a random GPT-2 (by default 124M, transformers' default configuration) that both sides of a benchmark load.

    REF/bin/python Benchmarks/make_model.py FOLDER [--tokenizer FOLDER] [--set n_layer=2 ...]

Seeded: the same folder every time. With --tokenizer its tokenizer files are copied in.
"""

import argparse
import json
import shutil
from pathlib import Path

import torch
from transformers import GPT2Config, GPT2LMHeadModel


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tokenizer", type=Path)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a field of config.json")
    arguments = parser.parse_args()
    fields = {key: json.loads(value) for key, value in (item.split("=", 1) for item in arguments.set)}
    torch.manual_seed(0)
    GPT2LMHeadModel(GPT2Config(**fields)).save_pretrained(arguments.folder)
    if arguments.tokenizer:
        for name in ("vocab.json", "merges.txt", "tokenizer.json", "tokenizer_config.json"):
            if (arguments.tokenizer / name).exists():
                shutil.copyfile(arguments.tokenizer / name, arguments.folder / name)


if __name__ == "__main__":
    main()
