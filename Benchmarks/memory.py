"""What a LoRA step takes in memory, by formula: weights in four kinds, what trains, and activations.

    python3 Benchmarks/memory.py                a table for models of 124 million to 70 billion parameters
    python3 Benchmarks/memory.py --check FILE   beside measured peaks: JSON lines of
                                                {"model", "tokens", "checkpointing", "table_bits", "peak_bytes"}

LoRA of rank 8 on queries and values, AdamW with moments of 32 bits, one sequence, activation checkpointing; d is the width,
f the inner one, k that of keys, L the blocks, V the vocabulary, T the rows.

    weights      linear layers of the blocks by kind; embeddings, norms and an output layer of its own in 16 bits, or 32
    what trains  16 bytes a parameter: value, gradient and two moments
    activations  4 T (L d + block) for the inputs of all blocks and all of the one that is computed again, and a chunk of
                 logits: 4 V rows, as many as 70 MiB hold, 256 at least; an eighth more, as buffers come in such sizes
    process      30 MB
"""

import argparse
import json
import math

# name: width, inner width, blocks, width of keys, vocabulary, positions, whether the head is tied, kind
MODELS = {
    "GPT-2 124M": (768, 3072, 12, 768, 50257, 1024, True, "gpt2"),
    "GPT-2 355M": (1024, 4096, 24, 1024, 50257, 1024, True, "gpt2"),
    "GPT-2 774M": (1280, 5120, 36, 1280, 50257, 1024, True, "gpt2"),
    "SmolLM2 135M": (576, 1536, 30, 192, 49152, 0, True, "llama"),
    "Qwen2.5 0.5B": (896, 4864, 24, 128, 151936, 0, True, "llama"),
    "TinyLlama 1.1B": (2048, 5632, 22, 256, 32000, 0, False, "llama"),
    "Llama 2 7B": (4096, 11008, 32, 4096, 32000, 0, False, "llama"),
    "Llama 2 13B": (5120, 13824, 40, 5120, 32000, 0, False, "llama"),
    "Llama 2 70B": (8192, 28672, 80, 1024, 32000, 0, False, "llama"),
}
# Bits of a linear layer's parameter; of NF4 with double quantization: 4 + 8 / 64 + 32 / (64 * 256).
KINDS = {"F32": 32, "BF16": 16, "int8": 8, "NF4 double": 4 + 8 / 64 + 32 / (64 * 256)}
RANK = 8


def parts(model, kind, tokens, table_bits, checkpointing=True):
    d, f, blocks, k, vocabulary, positions, tied, family = MODELS[model]
    linear = blocks * (d * 3 * d + d * d + 2 * d * f if family == "gpt2" else 2 * d * d + 2 * d * k + 3 * d * f)
    # Of tables, the rows that are read; the output layer is read whole.
    tables = vocabulary * d * (1 if tied else 2) + positions * d
    trained = RANK * blocks * (d + 3 * d if family == "gpt2" else d + d + d + k)
    block = 12 * d if family == "gpt2" else 5 * d + 2 * k + 3 * f
    kept = blocks * d + block if checkpointing else blocks * block
    rows = tokens - 1
    most = max(256, (70 << 20) // (4 * vocabulary))
    chunk = math.ceil(rows / math.ceil(rows / most))
    return {
        "linear": linear * KINDS[kind] / 8,
        "tables": tables * table_bits / 8,
        "trained": 16 * trained,
        "activations": (4 * rows * kept + 4 * chunk * vocabulary) * 9 / 8,
        "process": 30e6,
    }


def gigabytes(count):
    return f"{count / 1e9:.2f}" if count < 10e9 else f"{count / 1e9:.1f}"


def table(tokens):
    print(f"| 1 x {tokens} tokens | " + " | ".join(KINDS) + " | of the last: linear layers | tables | what trains | activations |")
    print("|---|" + "---|" * (len(KINDS) + 4))
    for model in MODELS:
        totals = [sum(parts(model, kind, tokens, 32 if kind == "F32" else 16).values()) for kind in KINDS]
        last = parts(model, "NF4 double", tokens, 16)
        cells = [gigabytes(total) for total in totals]
        cells += [gigabytes(last[name]) for name in ("linear", "tables", "trained", "activations")]
        print(f"| {model} | " + " | ".join(cells) + " |")


def check(path):
    print("| model | tokens | by formula, GB | measured | ratio |\n|---|---|---|---|---|")
    for line in open(path):
        row = json.loads(line)
        total = sum(parts(row["model"], row.get("kind", "NF4 double"), row["tokens"], row["table_bits"],
                          row["checkpointing"]).values())
        print(f"| {row['model']} | {row['tokens']} | {gigabytes(total)} | {gigabytes(row['peak_bytes'])} | "
              f"{total / row['peak_bytes']:.3f} |")


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--tokens", type=int, default=256)
parser.add_argument("--check")
arguments = parser.parse_args()
if arguments.check:
    check(arguments.check)
else:
    table(arguments.tokens)
