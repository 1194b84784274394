#!/usr/bin/env bash
# transformers 5.24.0, model types gpt_neox, gpt_neox_japanese: `rope_theta` and `partial_rotary_factor` at the top of
# config.json, where other families (llama, phi, stablelm) have them, are read, can be asked for as attributes of the
# configuration, and are ignored by the model without a warning. It takes 10000 and the factor 0.25 (Japanese: 1).
#
# Cause: the base class moves both keys into `rope_parameters`. These two configurations have their own
# convert_rope_params_to_dict, which fills that table from the old names `rotary_emb_base` and `rotary_pct` or the
# defaults first; when the common part looks at the others, the places are taken.
# Seen, heads of 16 values, base 50000 and factor 0.5 asked for: base and number of rotated values in the model
#   gpt_neox 10000 4, gpt_neox_japanese 10000 16, phi and stablelm 50000 8; gpt_neox by the old names or by
#   `rope_parameters` 50000 8
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
HF_HUB_OFFLINE=1 "$python" - "${packages[@]}" <<'END'
import importlib.metadata, sys
installed = {package.name: package.version for package in importlib.metadata.distributions()}
for name, version in (package.split("==") for package in sys.argv[1:]):
    if installed.get(name, "none").split("+")[0] != version:
        print(f"{name} {version} is needed; here: {installed.get(name, 'none')}"), sys.exit(2)
import json, tempfile
from pathlib import Path
from transformers import AutoConfig, AutoModel
size = dict(vocab_size=61, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=48,
            bos_token_id=None, eos_token_id=None, pad_token_id=None)
top = dict(rope_theta=50000.0, partial_rotary_factor=0.5)
table = dict(rope_parameters=dict(rope_type="default", **top))
cases = [("gpt_neox", top, 10000, 4), ("gpt_neox_japanese", top, 10000, 16), ("phi", top, 50000, 8),
         ("stablelm", top, 50000, 8), ("gpt_neox", dict(rotary_emb_base=50000, rotary_pct=0.5), 50000, 8),
         ("gpt_neox", table, 50000, 8)]
changed = False
for family, keys, base, count in cases:
    with tempfile.TemporaryDirectory() as folder:
        more = dict(num_key_value_heads=2) if family in ("phi", "stablelm") else {}
        Path(folder, "config.json").write_text(json.dumps(dict(model_type=family, **size, **more, **keys)))
        config = AutoConfig.from_pretrained(folder)
    frequencies = AutoModel.from_config(config).rotary_emb.inv_freq
    # The second frequency is base^(-2 / rotated values).
    found = round(frequencies[1].item() ** -len(frequencies)), 2 * len(frequencies)
    print(f"{family} with {keys}: base {found[0]}, {found[1]} of 16 values rotated; "
          f"config.rope_theta {getattr(config, 'rope_theta', None)}")
    changed |= abs(found[0] - base) > 1 or found[1] != count
if changed: sys.exit("changed: the keys no longer count as described")
END
