"""Draws the embedded E2E sample: train.jsonl, validation.jsonl and dev.jsonl of {"mr", "ref"} rows.

usage: prepare_e2e.py SHARED_DATA OUTPUT_FOLDER

The train set at hand is a tokenised copy ("£ 20 - 25", "family - friendly ."), the dev set isn't: train and validation
rows are detokenised into the dev set's style. train and validation hold one reference for each of as many different
meaning representations (mr), dev holds all references of each of its mrs, on consecutive rows.
"""

import csv
import json
import random
import re
import sys
from pathlib import Path

SEED = 20170717
TRAIN_ROWS = 4000
VALIDATION_ROWS = 300
DEV_PROMPTS = 60
# A hyphen in front of one of these is a dash between clauses, not the hyphen of a compound.
AFTER_DASH = (
    "a an the The is it It they there but and with near just which that located situated great look also in at for not "
    "Cocum Fitzbillies"
).split()


def detokenise(text: str) -> str:
    text = re.sub(r"£ +(?=[-\d])", "£", text)
    text = re.sub(r"(?<=\d) ?- ?(?=£?\d)", "-", text)
    dash = rf"(?<=\w)(?: - | -|- )(?=\w)(?!(?:{'|'.join(AFTER_DASH)})\b)"
    text = re.sub(dash, "-", text)
    text = re.sub(r"(?<=\w) ' ?(?=(?:s|t|re|ve|ll|m|d)\b)", "'", text)
    text = re.sub(r"\bd 'oeuvre", "d'oeuvre", text)
    text = re.sub(r"(?<!\w)' ([^']+?) ?'(?!\w)", r"'\1'", text)
    text = re.sub(r" +(?=[.,;:!?)])", "", text)
    text = re.sub(r"\( +", "(", text)
    # The copy glued some sentences: "riverside .average", "£ 20.Yes".
    text = re.sub(r"(?<=\w)([.,;])(?=[A-Za-z])", r"\1 ", text)
    return re.sub(r" +", " ", text).strip()


def write(path: Path, rows: list[dict]) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    prompts = len({row["mr"] for row in rows})
    print(f"{path.name}: {len(rows)} rows, {prompts} prompts, {path.stat().st_size:,} bytes")


def main() -> None:
    shared, output = Path(sys.argv[1]), Path(sys.argv[2])
    folder = shared / "datasets/e2e"
    lines = (folder / "trainset.tokenised.jsonl").read_text(encoding="utf-8").splitlines()
    references: dict[str, list[str]] = {}
    for record in map(json.loads, lines):
        references.setdefault(detokenise(record["mr"]), []).append(detokenise(record["ref"]))
    with (folder / "devset.csv").open(encoding="utf-8", newline="") as file:
        dev = [{"mr": row["mr"], "ref": row["ref"]} for row in csv.DictReader(file)]

    generator = random.Random(SEED)
    prompts = generator.sample(sorted(references), TRAIN_ROWS + VALIDATION_ROWS)
    rows = [{"mr": prompt, "ref": generator.choice(references[prompt])} for prompt in prompts]
    dev_prompts = generator.sample(sorted({row["mr"] for row in dev}), DEV_PROMPTS)
    assert not references.keys() & {row["mr"] for row in dev}, "a dev prompt is in the train set"

    output.mkdir(parents=True, exist_ok=True)
    write(output / "train.jsonl", rows[:TRAIN_ROWS])
    write(output / "validation.jsonl", rows[TRAIN_ROWS:])
    write(output / "dev.jsonl", [row for prompt in dev_prompts for row in dev if row["mr"] == prompt])


main()
