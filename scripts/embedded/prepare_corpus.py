"""Builds the pretraining corpus: train.jsonl and heldout.jsonl, a {"text": …} a line, and prints their sizes.

usage: prepare_corpus.py SHARED_DATA TOKENIZER_FOLDER OUTPUT_FOLDER

Neighbouring paragraphs of a source are joined to pieces of up to PIECE_TOKENS tokens, so that most of the context is
used; what is longer is cut at sentence ends. With the end-of-text token no piece is longer than the context (512).
The output depends on nothing but the inputs.
"""

import json
import random
import re
import sys
from pathlib import Path
from typing import Iterator

from sources import Document, documents
from tokenizers import Tokenizer

CONTEXT = 512
PIECE_TOKENS = 480
SEED = 20170717
# Sources of modern prose that sentences are taken from for the word lists.
MODERN = {"wikitext-2", "wiki", "alpaca", "self-instruct", "gsm8k"}
SENTENCES_PER_SOURCE = 4000
FUNCTION_WORDS = set(
    "about above after again against also although among another around because been before being between both came "
    "could does down during each even every from have having here however into just like made many might more most "
    "much must only other over same several should since some such than that their them then there these they this "
    "those through under until upon very were what when where which while whose will with within without would your "
    "used using well".split()
)


def cut(text: str, length) -> Iterator[str]:
    """The text itself, or its parts of at most PIECE_TOKENS tokens, cut at line and sentence ends, else at spaces."""
    for pattern in (None, r"(?<=\n)", r"(?<=[.!?;][ \n])", r"(?<= )", r""):
        parts = [text] if pattern is None else re.split(pattern, text)
        if max(map(length, parts)) <= PIECE_TOKENS:
            break
    yield from join(parts, "", length)


def join(parts: list[str], separator: str, length) -> Iterator[str]:
    piece = ""
    for part in parts:
        longer = f"{piece}{separator}{part}" if piece else part
        if piece and length(longer) > PIECE_TOKENS:
            yield piece.strip()
            piece = part
        else:
            piece = longer
    if piece.strip():
        yield piece.strip()


def pieces(chosen: list[Document], length) -> Iterator[str]:
    by_source: dict[str, list[str]] = {}
    for document in chosen:
        parts = [part for paragraph in document.paragraphs for part in cut(paragraph, length)]
        # A record of a collection may share its piece with the next; an article or stretch doesn't.
        if len(document.paragraphs) == 1:
            by_source.setdefault(document.source, []).extend(parts)
        else:
            separator = "\n\n" if document.source == "tinyshakespeare" else "\n"
            yield from join(parts, separator, length)
    for parts in by_source.values():
        yield from join(parts, "\n\n", length)


def word_lists(chosen: list[Document], length) -> Iterator[str]:
    """Lists of words out of a sentence, shuffled, each followed by the sentence: teaches to write what a list says."""
    generator = random.Random(SEED)
    for source in sorted(MODERN):
        text = "\n".join(p for document in chosen if document.source == source for p in document.paragraphs)
        sentences = [s.strip() for s in re.split(r"(?<=[a-z)\"][.!?])\s+|\n", text)]
        sentences = [s for s in sentences if 8 <= len(s.split()) <= 30 and re.fullmatch(r"[A-Z].*[.!?]", s)]
        sentences = generator.sample(sentences, min(SENTENCES_PER_SOURCE, len(sentences)))
        records = []
        for sentence in sentences:
            found = re.findall(r"(?:[A-Z][\w'-]+(?: (?=[A-Z]))?)+|[$£]?\d[\d,.]*\d|\d|[a-z][a-z-]{4,}", sentence)
            if found and sentence.startswith(found[0]) and " " not in found[0].strip():
                found = found[1:]  # It has its capital from the sentence.
            found = [word.strip() for word in dict.fromkeys(found) if word.strip().lower() not in FUNCTION_WORDS]
            if len(found) < 3:
                continue
            count = generator.randint(2, min(7, len(found)))
            names = [word for word in found if not word.islower()]
            others = [word for word in found if word.islower()]
            generator.shuffle(others)
            listed = (names + others)[:count]
            generator.shuffle(listed)
            records.append(f"{generator.choice([', ', '; ', ' | ', ' / ']).join(listed)}\n{sentence}")
        yield from join(records, "\n\n", length)


def write(path: Path, texts: list[str], length) -> str:
    lengths = [length(text) for text in texts]
    assert max(lengths) + 1 <= CONTEXT, f"a piece of {max(lengths)} tokens"
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for text in texts:
            file.write(json.dumps({"text": text}, ensure_ascii=False) + "\n")
    size = sum(len(text.encode()) for text in texts)
    return f"{path.name}: {len(texts):,} records, {size:,} bytes of text, {sum(lengths):,} tokens + {len(texts):,} eos"


def main() -> None:
    shared, tokenizer_folder, output = map(Path, sys.argv[1:4])
    tokenizer = Tokenizer.from_file(str(tokenizer_folder / "tokenizer.json"))

    def length(text: str) -> int:
        return len(tokenizer.encode(text).ids)

    everything = list(documents(shared))
    train_documents = [document for document in everything if not document.held_out]
    held_out_documents = [document for document in everything if document.held_out]
    train = list(pieces(train_documents, length)) + list(word_lists(train_documents, length))
    random.Random(SEED).shuffle(train)
    output.mkdir(parents=True, exist_ok=True)
    print(write(output / "train.jsonl", train, length))
    print(write(output / "heldout.jsonl", list(pieces(held_out_documents, length)), length))


main()
