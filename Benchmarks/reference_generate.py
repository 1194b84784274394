"""The reference's side of the generation benchmarks: transformers' `generate` on the processor.

    REF/bin/python Benchmarks/reference_generate.py --model FOLDER --mode decode|records --threads N [...]

Greedy, float32, sdpa, with the key/value cache; prompts of unequal length are padded on the left, as `generate` wants
them. Nothing ends by the end token, since random weights never would choose it: `decode` continues random prompts of one
length by a fixed number of tokens; `records` continues the distinct prompts of a JSONL file in their order, each by as
many tokens as its first completion has (`--new-tokens N`: all by N), a batch at a time, and a batch is done when the
last of its texts is.

On stdout a JSON line for each measurement. `--output FILE` gets the generated ids, a JSON list a prompt.
"""

import argparse
import json
import os
import resource
import statistics
import time


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="a GPT-2 folder; both sides load the same")
    parser.add_argument("--mode", choices=["decode", "records"], default="decode")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--beams", type=int, default=1, help="decode: beams of each prompt")
    parser.add_argument("--prompt-length", type=int, default=64, help="decode: tokens of a prompt")
    parser.add_argument("--new-tokens", type=int, help="decode: 32 by default; records: instead of the completions' lengths")
    parser.add_argument("--rounds", type=int, default=3, help="decode: how often it is timed")
    parser.add_argument("--data", help="records: the JSONL file")
    parser.add_argument("--count", type=int, help="records: only the first prompts")
    parser.add_argument("--prompt-field", default="mr")
    parser.add_argument("--completion-field", default="ref")
    parser.add_argument("--output", help="a file for the generated ids")
    return parser.parse_args()


arguments = parse()
# Before torch is loaded, which reads them.
os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(arguments.threads)
os.environ["HF_HUB_OFFLINE"] = "1"

import torch
import transformers
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM, LogitsProcessor, StoppingCriteria, StoppingCriteriaList

torch.set_num_threads(arguments.threads)
transformers.utils.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()


class Clock(LogitsProcessor):
    """The time of every pass: called with its logits."""

    def __init__(self):
        self.times = []

    def __call__(self, input_ids, scores):
        self.times.append(time.perf_counter())
        return scores


class Limits(StoppingCriteria):
    """Ends each text of a batch at a length of its own."""

    def __init__(self, prompt_length, limits):
        self.prompt_length, self.limits = prompt_length, torch.tensor(limits)

    def __call__(self, input_ids, scores, **_):
        limits = self.limits.repeat_interleave(len(input_ids) // len(self.limits))  # Each beam is a row.
        return input_ids.shape[1] - self.prompt_length >= limits


has_encoder = AutoConfig.from_pretrained(arguments.model).is_encoder_decoder


def load():
    family = AutoModelForSeq2SeqLM if has_encoder else AutoModelForCausalLM
    model = family.from_pretrained(arguments.model, dtype=torch.float32, attn_implementation="sdpa").eval()
    model.generation_config.eos_token_id = None
    return model


def emit(**values):
    print(json.dumps({"side": "reference", "threads": arguments.threads, "batch": arguments.batch, **values,
                      "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
                      "versions": {"torch": torch.__version__, "transformers": transformers.__version__}}), flush=True)


def write(texts):
    if arguments.output:
        with open(arguments.output, "w", encoding="utf-8") as file:
            file.writelines(json.dumps(text) + "\n" for text in texts)


def generate(model, prompts, limits, clock):
    if has_encoder:
        return generate_answers(model, prompts, limits, clock)
    length = max(map(len, prompts))
    padding = model.config.vocab_size - 1
    ids = torch.tensor([[padding] * (length - len(prompt)) + prompt for prompt in prompts])
    mask = torch.tensor([[0] * (length - len(prompt)) + [1] * len(prompt) for prompt in prompts])
    output = model.generate(ids, attention_mask=mask, do_sample=False, num_beams=arguments.beams, use_cache=True, max_new_tokens=max(limits),
                            pad_token_id=padding, logits_processor=[clock],
                            stopping_criteria=StoppingCriteriaList([Limits(length, limits)]))
    return [row[length:length + limit].tolist() for row, limit in zip(output, limits)]


def generate_answers(model, prompts, limits, clock):
    """Of a model whose encoder reads the prompts, padded on the right; its decoder begins with one token."""
    length = max(map(len, prompts))
    ids = torch.tensor([prompt + [0] * (length - len(prompt)) for prompt in prompts])
    mask = torch.tensor([[1] * len(prompt) + [0] * (length - len(prompt)) for prompt in prompts])
    output = model.generate(ids, attention_mask=mask, do_sample=False, num_beams=arguments.beams, use_cache=True, max_new_tokens=max(limits),
                            pad_token_id=0, logits_processor=[clock],
                            stopping_criteria=StoppingCriteriaList([Limits(1, limits)]))
    return [row[1:1 + limit].tolist() for row, limit in zip(output, limits)]


def run_decode(model):
    count = arguments.new_tokens or 32
    vocabulary = model.config.vocab_size
    prompts = [[(7919 * (sequence * arguments.prompt_length + i) + 104729) % (vocabulary - 1)
                for i in range(arguments.prompt_length)] for sequence in range(arguments.batch)]
    prefill, steps = [], []
    texts = []
    for round in range(1 + arguments.rounds):
        clock = Clock()
        start = time.perf_counter()
        texts = generate(model, prompts, [count] * len(prompts), clock)
        end = time.perf_counter()
        if round > 0:
            prefill.append(clock.times[0] - start)
            steps.append((end - clock.times[0]) / max(1, count - 1))
    write(texts)
    emit(measurement="decode", prompt_length=arguments.prompt_length, new_tokens=count,
         prefill_seconds=statistics.median(prefill),
         prefill_tokens_per_second=arguments.batch * arguments.prompt_length / statistics.median(prefill),
         seconds_per_token=statistics.median(steps), tokens_per_second=arguments.batch / statistics.median(steps))


def read_records():
    """The distinct prompts in their order, and the length of each one's first completion with its end."""
    from tokenizers import Tokenizer
    from tokenizers.models import BPE
    from tokenizers.pre_tokenizers import ByteLevel

    tokenizer = Tokenizer(BPE.from_file(f"{arguments.model}/vocab.json", f"{arguments.model}/merges.txt"))
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    found = {}
    with open(arguments.data, encoding="utf-8") as lines:
        records = [json.loads(line) for line in lines]
    for record in records:
        found.setdefault(record[arguments.prompt_field] + "\n", record[arguments.completion_field])
    chosen = list(found.items())[:arguments.count]
    prompts = [tokenizer.encode(prompt).ids for prompt, _ in chosen]
    limits = [arguments.new_tokens or len(tokenizer.encode(text).ids) + 1 for _, text in chosen]
    return len(records), len(found), prompts, limits


def run_records(model):
    records, distinct, prompts, limits = read_records()
    # The first calls build what later ones reuse.
    generate(model, prompts[:arguments.batch], [2] * len(prompts[:arguments.batch]), Clock())
    texts = []
    start = time.perf_counter()
    for first in range(0, len(prompts), arguments.batch):
        part = slice(first, first + arguments.batch)
        texts += generate(model, prompts[part], limits[part], Clock())
    seconds = time.perf_counter() - start
    write(texts)
    emit(measurement="generation", records=records, distinct_prompts=distinct, prompts=len(prompts),
         prompt_tokens=sum(map(len, prompts)), new_tokens=sum(limits), seconds=seconds,
         tokens_per_second=sum(limits) / seconds)


def main():
    model = load()
    with torch.inference_mode():
        if arguments.mode == "decode":
            run_decode(model)
        else:
            run_records(model)


if __name__ == "__main__":
    main()
