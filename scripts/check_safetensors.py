"""Reads safetensors files with the Python library and prints a JSON line for each: its metadata and its tensors.

    REF/bin/python scripts/check_safetensors.py FILE... [--values]

With --values each tensor's sum and sum of squares, in float64, are printed too. Exits with 1 where a file can't be
read.
"""

import argparse
import json

import torch
from safetensors import safe_open


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", metavar="FILE")
    parser.add_argument("--values", action="store_true")
    arguments = parser.parse_args()
    for name in arguments.files:
        tensors = {}
        with safe_open(name, framework="pt") as file:
            for key in file.keys():
                tensor = file.get_tensor(key)
                tensors[key] = {"dtype": file.get_slice(key).get_dtype(), "shape": list(tensor.shape)}
                if arguments.values:
                    values = tensor.to(torch.float64)
                    tensors[key] |= {"sum": values.sum().item(), "sum_of_squares": values.square().sum().item()}
            print(json.dumps({"file": name, "metadata": file.metadata(), "tensors": tensors}))


if __name__ == "__main__":
    main()
