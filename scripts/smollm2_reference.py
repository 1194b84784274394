"""What transformers and peft compute with SmolLM2-135M-Instruct, to be compared with what our tool computes.

    REF/bin/python scripts/smollm2_reference.py MODEL TRAIN.jsonl TEST.jsonl OUTPUT [--threads N]

MODEL is the folder that smollm2.py made; TRAIN and TEST are files of GSM8K (records with `question` and `answer`). A
record becomes `{question}\\n` as the prompt and `{answer}` as the completion, each tokenized by itself, nothing in
front, the end of text (2, `<|im_end|>`) behind the completion; a loss is the mean over the tokens of completions,
ends included. Everything is float32. OUTPUT gets

- `init/`: LoRA as peft begins it (r 8, alpha 16, q_proj and v_proj, A by seed 0, B zero), which training starts from,
  and `final/`, the same after it;
- `records.json`: of the first 80 records of TRAIN the ids of prompt and completion;
- `loss.json`: of the first 64 of them `sums` of the negative log-likelihoods by record, `counts` of targets, `mean`
  of all; the same after training as `trained`;
- `train.json`: 20 steps on these 80 records in order, 4 a step: AdamW (0.9, 0.999, 1e-8), no decay, 2e-4 falling
  linearly to 0 over the 20 steps, gradients clipped to a norm of 1: `losses`, `grad_norms` before clipping,
  `learning_rates`, `tokens` of the batch without padding, `targets`, and `seconds` of forward, backward and step.
  `exact_losses` are of the same logits in float64: over 49,152 pieces torch's cross entropy in float32 comes out 1.2e-5
  too small;
- `greedy.json`: for `before` and `after` of the training at most 64 new tokens for the first three questions of TEST
  as prompts in the same form, and for a question by the chat template: `prompt_ids`, `completion_ids` (the end of
  text is the last one where it came), `margins` between the two largest logits by token, and the texts;
- `forward.json`: of the first 4 records the logits of the last token, whole, at seven digits.
"""

import argparse
import json
import os
import time
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer, get_scheduler

STEPS, BATCH, EVALUATED, NEW = 20, 4, 64, 64
IGNORED = -100
CHAT = [{"role": "user", "content": "What is the capital of France?"}]


def read(path, count):
    with open(path, encoding="utf-8") as stream:
        return [json.loads(line) for line, _ in zip(stream, range(count))]


def encode(tokenizer, record):
    return {"prompt_ids": tokenizer(record["question"] + "\n").input_ids,
            "completion_ids": tokenizer(record["answer"]).input_ids + [tokenizer.eos_token_id]}


def collate(records, padding):
    length = max(len(record["prompt_ids"]) + len(record["completion_ids"]) for record in records)
    ids, mask, labels = [], [], []
    for record in records:
        prompt, completion = record["prompt_ids"], record["completion_ids"]
        rest = length - len(prompt) - len(completion)
        ids.append(prompt + completion + [padding] * rest)
        mask.append([1] * (length - rest) + [0] * rest)
        labels.append([IGNORED] * len(prompt) + completion + [IGNORED] * rest)
    return torch.tensor(ids), torch.tensor(mask), torch.tensor(labels)


def losses(logits, labels, reduction):
    return torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), reduction=reduction,
                                             ignore_index=IGNORED)


@torch.no_grad()
def evaluate(model, records):
    sums = []
    for record in records:
        ids, _, labels = collate([record], 0)
        sums.append(losses(model(input_ids=ids).logits.double(), labels, "sum").item())
    counts = [len(record["completion_ids"]) for record in records]
    return {"sums": sums, "counts": counts, "mean": sum(sums) / sum(counts)}


def train(model, records, padding):
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=2e-4, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0)
    schedule = get_scheduler("linear", optimizer, num_warmup_steps=0, num_training_steps=STEPS)
    log = {"losses": [], "exact_losses": [], "grad_norms": [], "learning_rates": [], "tokens": [], "targets": [], "seconds": []}
    model.train()
    for step in range(STEPS):
        batch = records[step * BATCH:(step + 1) * BATCH]
        ids, mask, labels = collate(batch, padding)
        start = time.perf_counter()
        logits = model(input_ids=ids, attention_mask=mask).logits
        loss = losses(logits, labels, "mean")
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(trained, 1.0)
        log["learning_rates"].append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
        log["seconds"].append(round(time.perf_counter() - start, 3))
        log["losses"].append(loss.item())
        log["exact_losses"].append(losses(logits.detach().double(), labels, "mean").item())
        del logits
        log["grad_norms"].append(norm.item())
        log["tokens"].append(mask.sum().item())
        log["targets"].append((labels[:, 1:] != IGNORED).sum().item())
        print(f"step {step + 1}: loss {loss.item():.4f}, {log['seconds'][-1]} s", flush=True)
    model.eval()
    return log


@torch.no_grad()
def greedy(model, tokenizer, prompts):
    rows = []
    for ids in prompts:
        given = torch.tensor([ids])
        output = model.generate(input_ids=given, attention_mask=torch.ones_like(given), do_sample=False,
                                max_new_tokens=NEW)[0]
        top = model(input_ids=output[None]).logits[0, len(ids) - 1:-1].topk(2).values
        new = output[len(ids):].tolist()
        rows.append({"prompt": tokenizer.decode(ids), "prompt_ids": ids, "completion": tokenizer.decode(new),
                     "completion_ids": new, "margins": [float(f"{margin:.4g}") for margin in (top[:, 0] - top[:, 1])]})
    return rows


def save_adapter(model, folder):
    model.save_pretrained(folder)
    (folder / "README.md").unlink(missing_ok=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("model", "train", "test", "output"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--threads", type=int)
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    output = arguments.output
    output.mkdir(parents=True, exist_ok=True)

    def write(name, value):
        (output / name).write_text(json.dumps(value, ensure_ascii=False) + "\n", encoding="utf-8")

    tokenizer = AutoTokenizer.from_pretrained(arguments.model)
    records = [encode(tokenizer, record) for record in read(arguments.train, STEPS * BATCH)]
    write("records.json", records)
    prompts = [tokenizer(record["question"] + "\n").input_ids for record in read(arguments.test, 3)]
    prompts.append(tokenizer.apply_chat_template(CHAT, add_generation_prompt=True, return_dict=True)["input_ids"])

    base = AutoModelForCausalLM.from_pretrained(arguments.model, dtype=torch.float32).eval()
    with torch.no_grad():
        rows = [base(input_ids=torch.tensor([record["prompt_ids"] + record["completion_ids"]])).logits[0, -1].tolist()
                for record in records[:4]]
    write("forward.json", {"logits": [[float(f"{value:.7g}") for value in row] for row in rows]})
    evaluated = {"base": evaluate(base, records[:EVALUATED])}
    print(f"base: loss {evaluated['base']['mean']:.6f} of {sum(evaluated['base']['counts'])} targets", flush=True)
    texts = {"before": greedy(base, tokenizer, prompts)}

    torch.manual_seed(0)
    start = get_peft_model(base, LoraConfig(task_type="CAUSAL_LM", r=8, lora_alpha=16, lora_dropout=0.0,
                                            target_modules=["q_proj", "v_proj"]))
    save_adapter(start, output / "init")
    model = PeftModel.from_pretrained(start.unload(), output / "init", is_trainable=True)
    write("train.json", train(model, records, tokenizer.pad_token_id))
    save_adapter(model, output / "final")
    evaluated["trained"] = evaluate(model, records[:EVALUATED])
    print(f"trained: loss {evaluated['trained']['mean']:.6f}", flush=True)
    write("loss.json", evaluated)
    texts["after"] = greedy(model, tokenizer, prompts)
    write("greedy.json", texts)


if __name__ == "__main__":
    main()
