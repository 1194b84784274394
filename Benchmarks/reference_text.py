"""The reference's side of the text benchmarks: the tokenizers library on one thread, and a data set read on all.

    REF/bin/python Benchmarks/reference_text.py --model FOLDER --text FILE --data FILE --threads N

The text is cut into chunks of whole lines and encoded by one call without offsets, on one thread, by a tokenizer that is
new each time, so that its cache is cold. The data set is a JSONL file of prompt and completion fields, read with json and
encoded in batches on all threads.

On stdout one JSON line with medians.
"""

import argparse
import json
import os
import statistics
import time


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="a folder with vocab.json and merges.txt")
    parser.add_argument("--text", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--rounds", type=int, default=5, help="after one that doesn't count")
    parser.add_argument("--prompt-field", default="mr")
    parser.add_argument("--completion-field", default="ref")
    return parser.parse_args()


arguments = parse()
os.environ["RAYON_NUM_THREADS"] = str(arguments.threads)

import tokenizers
from tokenizers import Regex, Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel, Digits, Sequence, Split

CHUNK = 4096
LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
# Ways to cut texts into words, GPT-2's first.
WORDS = {
    "tokenizer": lambda: ByteLevel(add_prefix_space=False),
    "pattern": lambda: Sequence([Split(Regex(LLAMA3), "isolated"), ByteLevel(add_prefix_space=False, use_regex=False)]),
    "digits": lambda: Sequence([Digits(individual_digits=True), ByteLevel(add_prefix_space=False)]),
}


def load(words="tokenizer"):
    tokenizer = Tokenizer(BPE.from_file(f"{arguments.model}/vocab.json", f"{arguments.model}/merges.txt"))
    tokenizer.pre_tokenizer = WORDS[words]()
    tokenizer.add_special_tokens(["<|endoftext|>"])
    return tokenizer


def read_chunks():
    chunks, current = [], b""
    with open(arguments.text, "rb") as lines:
        for line in lines:
            current += line
            if len(current) >= CHUNK and current.endswith(b"\n"):
                chunks.append(current.decode())
                current = b""
    return chunks + ([current.decode()] if current else [])


def time_tokenizer(chunks, words):
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    seconds, loading, tokens = [], [], 0
    for _ in range(1 + arguments.rounds):
        before = time.perf_counter()
        tokenizer = load(words)
        start = time.perf_counter()
        encodings = tokenizer.encode_batch_fast(chunks)
        seconds.append(time.perf_counter() - start)
        loading.append(start - before)
        tokens = sum(len(encoding.ids) for encoding in encodings)
    return statistics.median(seconds[1:]), statistics.median(loading[1:]), tokens


def time_data():
    os.environ["TOKENIZERS_PARALLELISM"] = "true"
    seconds, records, tokens = [], 0, 0
    for _ in range(1 + arguments.rounds):
        tokenizer = load()
        end = tokenizer.get_vocab_size() - 1
        start = time.perf_counter()
        with open(arguments.data, encoding="utf-8") as lines:
            rows = [json.loads(line) for line in lines]
        prompts = tokenizer.encode_batch_fast([row[arguments.prompt_field] + "\n" for row in rows])
        completions = tokenizer.encode_batch_fast([row[arguments.completion_field] for row in rows])
        examples = [prompt.ids + completion.ids + [end] for prompt, completion in zip(prompts, completions)]
        seconds.append(time.perf_counter() - start)
        records, tokens = len(examples), sum(map(len, examples))
    return statistics.median(seconds[1:]), records, tokens


def main():
    chunks = read_chunks()
    size = sum(len(chunk.encode()) for chunk in chunks)
    encoding, loading, tokens = time_tokenizer(chunks, "tokenizer")
    others = {}
    for words in ("pattern", "digits"):
        seconds, _, count = time_tokenizer(chunks, words)
        others |= {f"{words}_tokens": count, f"{words}_bytes_per_second": size / seconds}
    reading, records, record_tokens = time_data()
    print(json.dumps({"side": "reference", "text_bytes": size, "tokens": tokens, "tokenizer_load_seconds": loading,
                      "tokenizer_bytes_per_second": size / encoding, **others, "records": records,
                      "record_tokens": record_tokens, "records_per_second": records / reading,
                      "versions": {"tokenizers": tokenizers.__version__}}))


if __name__ == "__main__":
    main()
