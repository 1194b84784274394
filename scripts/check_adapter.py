"""Checks that peft reads an adapter folder without a warning and computes the same logits from it.

    REF/bin/python scripts/check_adapter.py BASE ADAPTER LOGITS.json [ADAPTER LOGITS.json …] [--bound 1e-5]

LOGITS.json holds what our tool computed: {"sequences": [{"ids": [...], "logits": ...}, ...]}, the logits as a list by
position of lists over the vocabulary, or those of the last position alone; "accepted_warning" beside them is the
beginning of one that peft gives whatever the file says. Prints the largest difference relative to
the largest logit; exits with 1 where it is above the bound, peft warned, or the file's tensors aren't exactly those
that peft would write.
"""

import argparse
import json
import re
import sys
import warnings

from checking import compare, quieten, reference_gpt2


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base")
    parser.add_argument("pairs", nargs="+", metavar="ADAPTER LOGITS.json")
    parser.add_argument("--bound", type=float, default=1e-5)
    arguments = parser.parse_args()

    for adapter, logits in zip(arguments.pairs[::2], arguments.pairs[1::2], strict=True):
        check(arguments.base, adapter, logits, arguments.bound)


def accepted_warning(file):
    with open(file) as stream:
        return json.load(stream).get("accepted_warning")


def check(base, adapter, logits, bound):
    from peft import PeftModel, get_peft_model_state_dict
    from peft.utils.save_and_load import load_peft_weights

    base = reference_gpt2(base)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        quieten()
        if warning := accepted_warning(logits):
            warnings.filterwarnings("ignore", message=re.escape(warning))
        model = PeftModel.from_pretrained(base, adapter).eval()
    with warnings.catch_warnings():
        # peft says nothing of tensors that it doesn't know; but warns of the bias of `lora_bias` on saving.
        warnings.simplefilter("ignore")
        known, found = set(get_peft_model_state_dict(model)), set(load_peft_weights(adapter))
    if known != found:
        sys.exit(f"{adapter}: missing {sorted(known - found)}, unexpected {sorted(found - known)}")
    print(adapter, end=": ", flush=True)
    compare(model, logits, bound)


if __name__ == "__main__":
    main()
