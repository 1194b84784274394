"""Checks that TensorBoard reads the event files of a run, and finds the numbers of its metrics there.

    REF/bin/python scripts/check_tensorboard.py RUN [FOLDER]

RUN is the output folder of a run; FOLDER is where its event files are, RUN/runs by default. Every number of metrics.jsonl
must be there once, at its step, under the tag that transformers' callback would give it, and as the nearest float of 32
bits; and nothing else. Prints the tags with how many values they have; exits with 1 where anything differs.
"""

import json
import struct
import sys
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    run = Path(sys.argv[1])
    folder = Path(sys.argv[2]) if len(sys.argv) == 3 else run / "runs"
    expected = {}
    for line in (run / "metrics.jsonl").read_text().splitlines():
        values = json.loads(line)
        step = values.pop("step")
        is_evaluation = any(key.startswith("eval_") for key in values)
        for key, value in values.items():
            if value is None or is_evaluation and not key.startswith("eval_") and key != "epoch":
                continue
            tag = "eval/" + key[5:] if key.startswith("eval_") else "train/" + key
            # An evaluation has its step's epoch once more.
            expected.setdefault(tag, {}).setdefault(step, struct.unpack("f", struct.pack("f", value))[0])
    # 0 keeps all values.
    found = EventAccumulator(str(folder), size_guidance={"scalars": 0, "tensors": 0})
    found.Reload()
    tags = found.Tags()["scalars"]
    if set(tags) != set(expected):
        sys.exit(f"missing {sorted(set(expected) - set(tags))}, unexpected {sorted(set(tags) - set(expected))}")
    for tag in tags:
        values = [(scalar.step, scalar.value) for scalar in found.Scalars(tag)]
        if values != list(expected[tag].items()):
            sys.exit(f"{tag}: found {values}, expected {list(expected[tag].items())}")
        print(tag, len(values))
    for tag in found.Tags()["tensors"]:
        print(tag, len(found.Tensors(tag)[0].tensor_proto.string_val[0]))


if __name__ == "__main__":
    main()
