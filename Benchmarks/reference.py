"""The reference's side of the benchmarks: optimizer steps of transformers + peft on the processor, timed one by one.

    REF/bin/python Benchmarks/reference.py --model FOLDER --mode lora|bias|full|records --threads N --steps N [...]

The model's configuration is as it is (GPT-2's three dropouts of 0.1 are active), attention is sdpa, no key/value cache,
float32, AdamW, gradients clipped at 1; LoRA has r 8 on queries and values (peft's own targets), or on every linear layer.
`--quantization` keeps linear layers in 4 or 8 bits by bitsandbytes, `--autocast` has products take bfloat16. A model with an encoder reads `--length` tokens with it and learns `--targets` tokens with its decoder.

`lora`, `bias` (the biases of linear layers and norms alone) and `full` time forward, loss, backward, clipping and step on batches of random tokens of one length. `records`
trains with Trainer on a JSONL file of prompt and completion fields, padded per batch, and times what Trainer takes from
the start of one step to that of the next.

On stdout a JSON line for each step ({"step", "seconds", "loss", "tokens"}; tokens without padding) and one at the end:
the times after the warm-up, their median, and the process's peak memory. One process runs one side once: whoever
compares alternates between processes and takes the median of their medians.
"""

import argparse
import json
import os
import resource
import statistics
import sys
import tempfile
import time
import warnings


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="a model folder; both sides load the same")
    parser.add_argument("--mode", choices=["lora", "bias", "full", "records"], default="lora")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--steps", type=int, default=5, help="timed steps")
    parser.add_argument("--warmup", type=int, default=1, help="steps before them")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--length", type=int, default=256)
    parser.add_argument("--targets", type=int, default=64, help="tokens of a decoder beside an encoder")
    parser.add_argument("--r", "--rank", dest="r", type=int, default=8)
    parser.add_argument("--target-modules", choices=["all-linear"], help="by default peft's own")
    parser.add_argument("--quantization", choices=["nf4", "nf4-double", "int8"], help="the base by bitsandbytes")
    parser.add_argument("--autocast", action="store_true", help="products in bfloat16, sums in float32")
    parser.add_argument("--full-tuning", action="store_true", help="records: train all weights instead of LoRA")
    parser.add_argument("--data", help="records: the JSONL file")
    parser.add_argument("--prompt-field", default="mr")
    parser.add_argument("--completion-field", default="ref")
    return parser.parse_args()


arguments = parse()
# Before torch is loaded, which reads them.
os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(arguments.threads)
os.environ["HF_HUB_OFFLINE"] = "1"

import peft
import torch
import transformers
from peft import LoraConfig, get_peft_model
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM, PrinterCallback, Trainer, TrainerCallback, TrainingArguments

torch.set_num_threads(arguments.threads)
warnings.filterwarnings("ignore", message="`is_gradient_checkpointing` is deprecated")
transformers.utils.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()


def emit(**values):
    print(json.dumps(values), flush=True)


def peak_memory():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


has_encoder = AutoConfig.from_pretrained(arguments.model).is_encoder_decoder


def load():
    family = AutoModelForSeq2SeqLM if has_encoder else AutoModelForCausalLM
    quantized = {}
    if arguments.quantization:
        four = arguments.quantization != "int8"
        quantized["quantization_config"] = transformers.BitsAndBytesConfig(
            load_in_4bit=four, load_in_8bit=not four, bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=arguments.quantization == "nf4-double", bnb_4bit_compute_dtype=torch.float32)
    model = family.from_pretrained(arguments.model, dtype=torch.float32, attn_implementation="sdpa", **quantized)
    model.config.use_cache = False
    if arguments.mode == "full" or arguments.full_tuning:
        return model.train()
    if arguments.mode == "bias":
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(name.endswith(".bias"))
        return model.train()
    targets = arguments.target_modules
    return get_peft_model(model, LoraConfig(task_type="SEQ_2_SEQ_LM" if has_encoder else "CAUSAL_LM", r=arguments.r, lora_alpha=2 * arguments.r,
                                            lora_dropout=0.0,
                                            fan_in_fan_out=model.config.model_type == "gpt2" and not quantized,
                                            target_modules=targets)).train()


def timed_load():
    start = time.perf_counter()
    return load(), time.perf_counter() - start


def random_batches(vocabulary):
    generator = torch.Generator().manual_seed(1)
    while True:
        ids = torch.randint(vocabulary, (arguments.batch, arguments.length), generator=generator)
        if has_encoder:
            labels = torch.randint(vocabulary, (arguments.batch, arguments.targets), generator=generator)
            yield {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": labels}
            continue
        labels = ids.clone()
        labels[:, 0] = -100
        yield {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": labels}


dense_tokens = arguments.batch * (arguments.length + (arguments.targets if has_encoder else 0))


def run_steps():
    model, loading = timed_load()
    after_load = peak_memory()
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=2e-4, weight_decay=0.01)
    batches = random_batches(model.config.vocab_size)
    seconds = []
    for step in range(arguments.warmup + arguments.steps):
        batch = next(batches)
        start = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=arguments.autocast):
            loss = model(**batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        value = loss.item()
        seconds.append(time.perf_counter() - start)
        emit(step=step, seconds=seconds[-1], loss=value, tokens=dense_tokens)
    return seconds, [dense_tokens] * len(seconds), after_load, sum(p.numel() for p in trained), loading


def read_records(count, vocabulary):
    from tokenizers import Tokenizer
    from tokenizers.models import BPE
    from tokenizers.pre_tokenizers import ByteLevel

    tokenizer = Tokenizer(BPE.from_file(f"{arguments.model}/vocab.json", f"{arguments.model}/merges.txt"))
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    end = tokenizer.get_vocab_size() - 1
    records = []
    with open(arguments.data, encoding="utf-8") as lines:
        for line in lines:
            if len(records) == count:
                break
            record = json.loads(line)
            prompt = tokenizer.encode(record[arguments.prompt_field] + "\n").ids
            completion = tokenizer.encode(record[arguments.completion_field]).ids + [end]
            records.append((prompt, completion))
    if len(records) < count:
        sys.exit(f"{arguments.data}: {len(records)} records, {count} are needed")
    return records


def pad_pairs(records):
    """As DataCollatorForSeq2Seq: each side to its own longest, labels with -100."""
    longest = [max(len(record[side]) for record in records) for side in (0, 1)]
    batch = {"input_ids": [], "attention_mask": [], "labels": []}
    for prompt, completion in records:
        padding = longest[0] - len(prompt)
        batch["input_ids"].append(prompt + [0] * padding)
        batch["attention_mask"].append([1] * len(prompt) + [0] * padding)
        batch["labels"].append(completion + [-100] * (longest[1] - len(completion)))
    return {name: torch.tensor(rows) for name, rows in batch.items()}


def pad(records):
    if has_encoder:
        return pad_pairs(records)
    length = max(len(prompt) + len(completion) for prompt, completion in records)
    batch = {"input_ids": [], "attention_mask": [], "labels": []}
    for prompt, completion in records:
        padding = length - len(prompt) - len(completion)
        batch["input_ids"].append(prompt + completion + [0] * padding)
        batch["attention_mask"].append([1] * (length - padding) + [0] * padding)
        # The prompt has at least its line end, so position 0 is never a target.
        batch["labels"].append([-100] * len(prompt) + completion + [-100] * padding)
    return {name: torch.tensor(rows) for name, rows in batch.items()}


class Clock(TrainerCallback):
    def __init__(self, tokens):
        self.tokens, self.seconds, self.start, self.counted = tokens, [], None, 0

    def on_step_begin(self, *_, **__):
        # Where the batch has already been made: its making is in the time of the step before, as is logging.
        now = time.perf_counter()
        if self.start is not None:
            self.finish(now)
        self.start = now

    def on_train_end(self, *_, **__):
        self.finish(time.perf_counter())

    def finish(self, now):
        step = len(self.seconds)
        self.seconds.append(now - self.start)
        emit(step=step, seconds=self.seconds[-1], tokens=self.tokens[step])


def run_records():
    model, loading = timed_load()
    after_load = peak_memory()
    steps = arguments.warmup + arguments.steps
    records = read_records(steps * arguments.batch, model.config.vocab_size)
    lengths = [len(prompt) + len(completion) for prompt, completion in records]
    tokens = [sum(lengths[i:i + arguments.batch]) for i in range(0, len(lengths), arguments.batch)]
    clock = Clock(tokens)
    with tempfile.TemporaryDirectory() as scratch:
        trainer = Trainer(model=model, train_dataset=records, data_collator=pad, callbacks=[clock],
                          args=TrainingArguments(
                              output_dir=scratch, use_cpu=True, bf16=arguments.autocast, max_steps=steps, learning_rate=2e-4,
                              weight_decay=0.01, per_device_train_batch_size=arguments.batch, report_to="none",
                              save_strategy="no", logging_strategy="no", disable_tqdm=True,
                              remove_unused_columns=False, train_sampling_strategy="sequential"))
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    return clock.seconds, tokens, after_load, trained, loading


def main():
    started = os.getloadavg()[0]
    seconds, tokens, after_load, trained, loading = run_records() if arguments.mode == "records" else run_steps()
    timed = seconds[arguments.warmup:]
    emit(side="reference", mode=arguments.mode, threads=arguments.threads, batch=arguments.batch,
         length=None if arguments.mode == "records" else arguments.length, trained_parameters=trained, load_seconds=loading,
         seconds=timed, median_seconds=statistics.median(timed),
         tokens_per_second=sum(tokens[arguments.warmup:]) / sum(timed), peak_memory_bytes=peak_memory(),
         peak_memory_after_load_bytes=after_load, load_average_before=started,
         load_average_after=os.getloadavg()[0],
         versions={"torch": torch.__version__, "transformers": transformers.__version__,
                   "peft": peft.__version__})


if __name__ == "__main__":
    main()
