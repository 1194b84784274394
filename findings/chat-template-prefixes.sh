#!/usr/bin/env bash
# transformers 5.24.0 with the chat templates that trl 1.16.0 carries: is the beginning of a conversation the beginning of
# its text? Many programs find the assistant's turns by writing the messages up to a turn, and up to its end, and take the
# difference for what is learned. Of 40 templates of model families 13 write something else:
#   - phi3, phi3_5 end every text that isn't open with the end of all text, so that no beginning is one;
#   - qwen3 and its successors, gptoss write the last answer otherwise than the same answer with a question behind it;
#   - deepseek, nemotron, qwen3_5 open an answer with words (<think>) that the same answer doesn't have in the whole.
# A mask by such differences is wrong there, or empty; where a turn lies shows only by what it says.
#
# Seen: for each of these, which of the beginnings (of 1, 2, 3 messages; "open" with add_generation_prompt) are none.
set -euo pipefail
packages=(transformers==5.24.0 trl==1.16.0)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python=${REF:+$REF/bin/python}
if [[ -z $python ]]; then
    python3 -m venv "$folder/venv"
    python=$folder/venv/bin/python
    "$python" -m pip install --quiet transformers==5.24.0 jinja2 &&
        "$python" -m pip install --quiet --no-deps trl==1.16.0 || exit 2
fi
HF_HUB_OFFLINE=1 TRANSFORMERS_VERBOSITY=error "$python" - "${packages[@]}" <<'END'
import importlib.metadata, sys
installed = {package.name: package.version for package in importlib.metadata.distributions()}
for name, version in (package.split("==") for package in sys.argv[1:]):
    if installed.get(name, "none") != version:
        print(f"{name} {version} is needed; here: {installed.get(name, 'none')}"), sys.exit(2)
from transformers.utils.chat_template_utils import render_jinja_template
messages = [{"role": role, "content": text} for role, text in (
    ("user", "One?"), ("assistant", "Two."), ("user", "Three?"), ("assistant", "Four."))]
found, count = {}, 0
for file in sorted(importlib.metadata.files("trl"), key=str):
    if file.suffix != ".jinja" or "_training" in file.stem or file.stem == "llava_next":
        continue  # those for training mark the turns themselves; one wants pictures
    template = file.locate().read_text()
    def write(last, is_open=False):
        return render_jinja_template([messages[:last]], chat_template=template, add_generation_prompt=is_open,
                                     bos_token="<s>", eos_token="</s>", pad_token="<p>", unk_token="<u>")[0][0]
    whole, count = write(4), count + 1
    broken = [str(last) for last in (1, 2, 3) if not whole.startswith(write(last))]
    broken += [f"{last} open" for last in (1, 3) if not whole.startswith(write(last, True))]
    if broken:
        found[file.stem] = broken
for name, broken in found.items():
    print(f"{name}: {', '.join(broken)}")
print(f"{len(found)} of {count}")
think = ["1 open", "3 open"]
expected = dict.fromkeys(["deepseek_r1_distill", "deepseekv3", "nemotron_3_5_lightning", "nemotron_3_nano",
                          "nemotron_3_super", "nemotron_3_ultra"], think)
expected |= {"gptoss": ["2"], "phi3": ["1", "2", "3"], "phi3_5": ["1", "2", "3"], "qwen3": ["2"]}
expected |= dict.fromkeys(["qwen3_5_nothink", "qwen3_5_think", "qwen3_6"], ["2", "1 open"])
if found != expected:
    print("that has changed"), sys.exit(1)
END
