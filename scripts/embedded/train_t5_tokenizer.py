"""embedded/t5/spiece.model: a small Unigram model in T5's order (pad, eos, unk), from the records that the examples use.

    REF/bin/python scripts/embedded/train_t5_tokenizer.py

(sentencepiece 0.2.3; the same input gives the same bytes.) The texts are those of configs/t5-from-scratch.yaml and
configs/t5-attributes.yaml. Texts go in and the model comes out in memory, so that no path of a machine stands in it.
"""

import io
import json
from pathlib import Path

import sentencepiece

ROOT = Path(__file__).resolve().parents[2]


def texts():
    with open(ROOT / "embedded/e2e/train.jsonl", encoding="utf-8") as lines:
        for line in lines:
            record = json.loads(line)
            yield "describe: " + record["mr"]
            yield "attributes: " + record["ref"]


def main():
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=texts(), model_writer=model, vocab_size=1000, model_type="unigram", pad_id=0, eos_id=1,
        unk_id=2, bos_id=-1, normalization_rule_name="identity", num_threads=1, minloglevel=1)
    (ROOT / "embedded/t5/spiece.model").write_bytes(model.getvalue())


if __name__ == "__main__":
    main()
