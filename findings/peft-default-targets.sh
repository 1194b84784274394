#!/usr/bin/env bash
# peft 0.21.2, without target_modules in the configuration: which modules (IA)3 and LN tuning train.
# (IA)3 scales keys, values and the feed-forward part (Liu et al. 2022), and so it does for llama and mistral; but for
# qwen2, qwen3, gemma and phi it takes the queries in place of the keys, and for opt queries and keys, no values.
# LN tuning trains each norm of llama and mistral, but for qwen2 and qwen3 one of two in a block and not the last one.
# So the same configuration trains something else, and another number of values, from one family to the next.
#
# Cause: peft/utils/constants.py has a table by family for each method, written by hand row by row.
# Seen (2 blocks, hidden size 32, 16 for keys and values):
#   IA3  llama, mistral: k_proj v_proj down_proj, 160 values; qwen2, qwen3, gemma: q_proj v_proj down_proj, 192;
#        phi: q_proj v_proj fc2, 192; opt: q_proj k_proj fc2, 224 (it has as many heads of keys as of queries)
#   LN   llama, mistral: 5 norms of 5; qwen2: 2 of 5; qwen3: 2 of 9 (its other 4 are q_norm and k_norm)
set -euo pipefail
packages=(torch==2.13.0 transformers==5.24.0 peft==0.21.2)
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
import importlib.metadata, sys, warnings
installed = {package.name: package.version for package in importlib.metadata.distributions()}
for name, version in (package.split("==") for package in sys.argv[1:]):
    if installed.get(name, "none").split("+")[0] != version:
        print(f"{name} {version} is needed; here: {installed.get(name, 'none')}"), sys.exit(2)
warnings.simplefilter("ignore")
from peft import IA3Config, LNTuningConfig, get_peft_model
from transformers import AutoConfig, AutoModelForCausalLM
feed = {"phi": "fc2", "opt": "fc2"}
queries = ("qwen2", "qwen3", "gemma", "phi")
found, expected = [], []
for method, Config in (("IA3", IA3Config), ("LN", LNTuningConfig)):
    for family in ("llama", "mistral", "qwen2", "qwen3") + (("gemma", "phi", "opt") if method == "IA3" else ()):
        size = dict(vocab_size=61, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, pad_token_id=None)
        size |= dict(ffn_dim=48, word_embed_proj_dim=32) if family == "opt" else dict(
            intermediate_size=48, num_key_value_heads=2)
        if family in ("qwen3", "gemma", "mistral"): size["head_dim"] = 8
        base = AutoModelForCausalLM.from_config(AutoConfig.for_model(family, **size))
        norms = sum("Norm" in type(module).__name__ for module in base.modules())
        model = get_peft_model(base, Config(task_type="CAUSAL_LM"))
        names = [name.split(".ia3_l.")[0].split(".ln_tuning_layers.")[0] for name, parameter in model.named_parameters()
                 if parameter.requires_grad]
        kinds = sorted({name.split(".")[-1] for name in names})
        values = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
        print(f"{method:3} {family:7} {len(names)} modules, {values} values: {' '.join(kinds)}"
              + (f" ({norms} norms in the model)" if method == "LN" else ""))
        found.append(kinds)
        if method == "IA3":
            first = ["k_proj", "q_proj"] if family == "opt" else ["q_proj" if family in queries else "k_proj", "v_proj"]
            expected.append(sorted(first + [feed.get(family, "down_proj")]))
        else:
            expected.append(["post_attention_layernorm"] if family in queries else
                            ["input_layernorm", "norm", "post_attention_layernorm"])
if found != expected: sys.exit("changed: the default targets are no longer as described")
END
