"""Checks that AdapterHub's library reads an adapter folder and computes the same logits from it.

    ADAPTERS/bin/python scripts/check_adapterhub.py BASE ADAPTER LOGITS.json [ADAPTER LOGITS.json …] [--bound 1e-5]

LOGITS.json and the result are those of check_adapter.py; exits with 1 too where a tensor is missing or unexpected.
An adapter with a head for labels is loaded with it, into transformers' class and into AdapterHub's own; its logits are the
labels'.
"""

import argparse
import json
import sys
from pathlib import Path

import adapters
import torch
from transformers import AutoConfig, GPT2ForSequenceClassification, GPT2LMHeadModel, T5ForConditionalGeneration

from checking import compare


class Labels(torch.nn.Module):
    """A classifier in the form of a language model: a row of logits."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, use_cache):
        output = self.model(input_ids=input_ids)
        output.logits = output.logits[:, None]
        return output


def loaded(model, adapter, with_head):
    found = {}
    name = model.load_adapter(adapter, use_safetensors=True, set_active=True, with_head=with_head, loading_info=found)
    if found.get("missing_keys") or found.get("unexpected_keys"):
        sys.exit(f"{adapter}: {found}")
    model.set_active_adapters(name)
    return model.eval()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base")
    parser.add_argument("pairs", nargs="+", metavar="ADAPTER LOGITS.json")
    parser.add_argument("--bound", type=float, default=1e-5)
    arguments = parser.parse_args()
    for adapter, logits in zip(arguments.pairs[::2], arguments.pairs[1::2], strict=True):
        head = Path(adapter) / "head_config.json"
        if not head.exists():
            config = AutoConfig.from_pretrained(arguments.base)
            family = T5ForConditionalGeneration if config.is_encoder_decoder else GPT2LMHeadModel
            model = family.from_pretrained(arguments.base, torch_dtype=torch.float32)
            adapters.init(model)
            compare(loaded(model, adapter, with_head=False), logits, arguments.bound)
            continue
        labels = json.loads(head.read_text())["label2id"]
        model = GPT2ForSequenceClassification.from_pretrained(
            arguments.base, torch_dtype=torch.float32, num_labels=len(labels))
        adapters.init(model)
        own = adapters.AutoAdapterModel.from_pretrained(arguments.base, torch_dtype=torch.float32)
        compare(Labels(loaded(model, adapter, with_head=True)), logits, arguments.bound)
        if model.config.label2id != labels:
            sys.exit(f"{adapter}: {model.config.label2id} instead of {labels}")
        compare(Labels(loaded(own, adapter, with_head=True)), logits, arguments.bound)


if __name__ == "__main__":
    main()
