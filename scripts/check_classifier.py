"""Checks that transformers, and peft where an adapter is given, tell the same labels as our tool.

    REF/bin/python scripts/check_classifier.py MODEL PREDICTIONS.jsonl TOKENIZER [ADAPTER LABEL,LABEL,…]

PREDICTIONS.jsonl is what `peft eval --save-predictions` wrote; without an adapter MODEL has the head and the labels.
The texts go through the model in padded batches. Prints how many agree, and exits with 1 where one doesn't, or where a
library warned of anything but the new head.
"""

import json
import sys
import warnings

from checking import quieten

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer


@torch.no_grad()
def main():
    folder, predictions, tokenizer = sys.argv[1:4]
    names = sys.argv[5].split(",") if len(sys.argv) > 5 else None
    tokenizer = AutoTokenizer.from_pretrained(tokenizer)
    model, loading = AutoModelForSequenceClassification.from_pretrained(
        folder, dtype=torch.float32, output_loading_info=True, **({"num_labels": len(names)} if names else {}))
    wrong = {kind: sorted(map(str, keys)) for kind, keys in loading.items() if keys}
    if wrong != ({"missing_keys": ["score.weight"]} if names else {}):
        sys.exit(f"{folder}: {wrong}")
    if names:
        from peft import PeftModel

        with warnings.catch_warnings():
            warnings.simplefilter("error")
            quieten()
            model = PeftModel.from_pretrained(model, sys.argv[4])
        model.config.pad_token_id = model.config.eos_token_id
    else:
        names = [model.config.id2label[index] for index in range(model.config.num_labels)]
    model.eval()
    with open(predictions) as file:
        lines = [json.loads(line) for line in file]
    agreed = 0
    for start in range(0, len(lines), 16):
        part = lines[start:start + 16]
        ids = [tokenizer(line["text"], add_special_tokens=False).input_ids for line in part]
        longest = max(map(len, ids))
        padding = model.config.pad_token_id
        logits = model(
            input_ids=torch.tensor([row + [padding] * (longest - len(row)) for row in ids]),
            attention_mask=torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in ids])).logits
        agreed += sum(names[row.argmax()] == line["prediction"] for row, line in zip(logits, part))
    print(json.dumps({"texts": len(lines), "agreed": agreed}))
    sys.exit(0 if agreed == len(lines) > 0 else 1)


if __name__ == "__main__":
    main()
