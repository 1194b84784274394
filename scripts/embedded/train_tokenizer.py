"""Trains the embedded model's byte-level BPE on the pretraining text and writes it as transformers saves GPT-2's.

usage: train_tokenizer.py SHARED_DATA OUTPUT_FOLDER
"""

import json
import sys
from pathlib import Path

from sources import documents
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

# With 512 positions and 7 layers of width 192, 4,000 rows keep the BF16 weights under 8,000,000 bytes.
VOCABULARY_SIZE = 4000
POSITIONS = 512
END_OF_TEXT = "<|endoftext|>"
# Sums and verse make up most of the corpus, yet a vocabulary is for the modern prose that downstream tasks are in.
WEIGHTS = {"wikitext-2": 4, "wiki": 4, "alpaca": 4, "self-instruct": 4, "botchan": 2}
# Currency and accents are rare in the corpus and frequent in short product or place descriptions: each of these gets
# an entry, so that a price or a café doesn't fall apart into bytes.
SUPPLEMENT = ["£", " £", "€", " €", "é", "[", "]", "], ", "%", "°", "–", "’", "“", "”"]
SUPPLEMENT_REPEATS = 1000


def byte_level() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=True, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    return tokenizer


def main() -> None:
    shared, output = Path(sys.argv[1]), Path(sys.argv[2])
    texts = [
        "\n".join(document.paragraphs)
        for document in documents(shared)
        if not document.held_out
        for _ in range(WEIGHTS.get(document.source, 1))
    ]
    texts += [piece for piece in SUPPLEMENT for _ in range(SUPPLEMENT_REPEATS)]

    tokenizer = byte_level()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY_SIZE - 1,
        min_frequency=2,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)

    trained = json.loads(tokenizer.to_str())["model"]
    vocabulary = trained["vocab"] | {END_OF_TEXT: VOCABULARY_SIZE - 1}
    merges = [tuple(merge) for merge in trained["merges"]]
    tokenizer = byte_level()
    tokenizer.model = models.BPE(vocab=vocabulary, merges=merges)
    tokenizer.add_special_tokens([AddedToken(END_OF_TEXT, normalized=False, special=True)])
    assert tokenizer.get_vocab_size() == VOCABULARY_SIZE and tokenizer.token_to_id(END_OF_TEXT) == VOCABULARY_SIZE - 1

    output.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(output / "tokenizer.json"), pretty=False)
    settings = {
        "add_prefix_space": False,
        "bos_token": END_OF_TEXT,
        "eos_token": END_OF_TEXT,
        "model_max_length": POSITIONS,
        "tokenizer_class": "GPT2Tokenizer",
        "unk_token": END_OF_TEXT,
    }
    (output / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")


main()
