"""Checks that transformers reads a model folder (a merged one, say) completely and computes the same logits from it.

    REF/bin/python scripts/check_model.py MODEL LOGITS.json [--bound 1e-5]

LOGITS.json is as for check_adapter.py. Prints the largest difference relative to the largest logit; exits with 1 where
it is above the bound or a tensor was missing, unexpected or misshapen.
"""

import argparse

from checking import compare, reference_gpt2


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("logits")
    parser.add_argument("--bound", type=float, default=1e-5)
    arguments = parser.parse_args()
    compare(reference_gpt2(arguments.model), arguments.logits, arguments.bound)


if __name__ == "__main__":
    main()
