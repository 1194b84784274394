#!/usr/bin/env bash
# transformers 5.24.0: in llama, mistral, qwen2, qwen3, gemma, phi, phi3, opt, olmo2, mixtral, stablelm and smollm3 the
# row of `pad_token_id` in the input embedding gets no gradient, not even where that token is a real one that others
# attend to. Where padding and end of text are the same token, as in many chat models, full fine-tuning with an untied
# head never moves the embedding of the end of text, and with a tied one moves it by the head's part alone.
# gpt2, gpt_neox, bloom and falcon train it.
#
# Cause: the first build nn.Embedding with padding_idx = config.pad_token_id, whose backward pass skips that row
# whatever the attention mask says; the others build it without.
# Seen: norm of the row's gradient with pad_token_id null and 2, on 5 6 2 7 8, all attended to, at the same loss:
#   llama 1.49 and 0, tied 1.36 and 0.87; gpt2 5.44 and 5.44, tied 8.91 and 8.91
set -euo pipefail
packages=(torch==2.13.0 transformers==5.24.0)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python=${REF:+$REF/bin/python}
if [[ -z $python ]]; then
    python3 -m venv "$folder/venv"
    python=$folder/venv/bin/python
    "$python" -m pip install --quiet "${packages[@]/%torch==2.13.0/torch==2.13.0+cpu}" 2>/dev/null ||
        "$python" -m pip install --quiet "${packages[@]}" || exit 2
fi
HF_HUB_OFFLINE=1 TRANSFORMERS_VERBOSITY=error "$python" - "${packages[@]}" <<'END'
import importlib.metadata, sys
installed = {package.name: package.version for package in importlib.metadata.distributions()}
for name, version in (package.split("==") for package in sys.argv[1:]):
    if installed.get(name, "none").split("+")[0] != version:
        print(f"{name} {version} is needed; here: {installed.get(name, 'none')}"), sys.exit(2)
import torch
from transformers import AutoConfig, AutoModelForCausalLM
skipping = "llama mistral qwen2 qwen3 gemma phi phi3 opt olmo2 mixtral stablelm smollm3".split()
tokens = torch.tensor([[5, 6, 2, 7, 8]])
changed = False
for family in skipping + ["gpt2", "gpt_neox", "bloom", "falcon"]:
    for tied in (False, True):
        norms, losses = [], []
        for padding in (None, 2):
            size = dict(vocab_size=11, hidden_size=16, num_hidden_layers=1, num_attention_heads=2)
            if family not in ("gpt2", "bloom", "falcon"): size |= dict(intermediate_size=24, num_key_value_heads=2)
            if family in ("mistral", "qwen3", "gemma"): size["head_dim"] = 8
            if family == "opt": size |= dict(ffn_dim=24, word_embed_proj_dim=16)
            config = AutoConfig.for_model(family, **size, bos_token_id=None, eos_token_id=2, pad_token_id=padding,
                                          tie_word_embeddings=tied)
            model = AutoModelForCausalLM.from_config(config).eval()
            torch.manual_seed(1)
            for parameter in model.parameters():
                if parameter.dim() > 1: torch.nn.init.normal_(parameter, std=0.3)
            loss = model(input_ids=tokens, attention_mask=torch.ones_like(tokens), labels=tokens).loss
            loss.backward()
            norms.append(model.get_input_embeddings().weight.grad[2].norm().item())
            losses.append(loss.item())
        print(f"{family:8} {'tied' if tied else 'untied':6} loss {losses[0]:.4f} {losses[1]:.4f}, "
              f"gradient of row 2 {norms[0]:.4f} {norms[1]:.4f}")
        lost = norms[1] == 0 if not tied else abs(norms[1] / norms[0] - 1) > 0.01
        changed |= losses[0] != losses[1] or norms[0] == 0 or lost != (family in skipping)
if changed: sys.exit("changed: the row of the padding token no longer trains as described")
END
