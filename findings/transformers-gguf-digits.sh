#!/usr/bin/env bash
# transformers 5.24.0, a tokenizer read from a GGUF file: an unknown `tokenizer.ggml.pre`, which says how text is split
# before merging, is taken for GPT-2's without a warning, and `smollm`, which SmolLM2's files say, is unknown. It means
# each digit by itself first, then as GPT-2. So two spaces and a number, as in indented code, become other tokens than
# those that the model was trained on; a made-up name gives the same.
#
# Cause: transformers/integrations/gguf/gguf_tokenizer_mapping.py has a table from these names to patterns without a row
# for smollm, starcoder, command-r, deepseek-llm and others, and leaves the tokenizer as it is for a name not in it.
# Seen, with the 256 bytes and two spaces as vocabulary, "  48" gives: smollm Ġ Ġ 4 8, no-such-name Ġ Ġ 4 8, while a
# split into digits first gives ĠĠ 4 8.
set -euo pipefail
packages=(torch==2.13.0 transformers==5.24.0 tokenizers==0.23.3 gguf==0.19.0)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python=${REF:+$REF/bin/python}
if [[ -z $python ]]; then
    python3 -m venv "$folder/venv"
    python=$folder/venv/bin/python
    "$python" -m pip install --quiet "${packages[@]/%torch==2.13.0/torch==2.13.0+cpu}" 2>/dev/null ||
        "$python" -m pip install --quiet "${packages[@]}" || exit 2
fi
HF_HUB_OFFLINE=1 "$python" - "${packages[@]}" <<'END'
import importlib.metadata, sys
installed = {package.name: package.version for package in importlib.metadata.distributions()}
for name, version in (package.split("==") for package in sys.argv[1:]):
    if installed.get(name, "none").split("+")[0] != version:
        print(f"{name} {version} is needed; here: {installed.get(name, 'none')}"), sys.exit(2)
import tempfile
from gguf import GGUFWriter, TokenType
from tokenizers import pre_tokenizers
from transformers import AutoTokenizer
bytewise = pre_tokenizers.ByteLevel(add_prefix_space=False)
tokens = sorted(pre_tokenizers.ByteLevel.alphabet()) + ["ĠĠ"]
results = {}
for name in ("smollm", "no-such-name"):
    with tempfile.TemporaryDirectory() as folder:
        writer = GGUFWriter(f"{folder}/model.gguf", "llama")
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre(name)
        writer.add_token_list(tokens)
        writer.add_token_types([TokenType.NORMAL] * len(tokens))
        writer.add_token_merges(["Ġ Ġ"])
        for key in ("block_count", "context_length", "embedding_length", "head_count", "feed_forward_length"):
            getattr(writer, f"add_{key}")(8)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file="model.gguf")
    results[name] = tokenizer.tokenize("  48")
tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
    [pre_tokenizers.Digits(individual_digits=True), bytewise])
results["digits first"] = tokenizer.tokenize("  48")
for name, result in results.items(): print(f"{name}: {' '.join(result)}")
if list(results.values()) != [["Ġ", "Ġ", "4", "8"]] * 2 + [["ĠĠ", "4", "8"]]:
    sys.exit("changed: the GGUF file's splitting is no longer ignored as described")
END
