#!/usr/bin/env bash
# TensorBoard 2.21.0: where a run stopped after step 6, and was resumed from a checkpoint of step 3 into the same folder, its
# reader keeps the steps 4 to 6 that no longer count beside the new ones, though `purge_orphaned_data` is on by default and
# steps going back are what it is for. The curve runs back and forth, and "the last value of step 5" is two values.
#
# Cause: files since "brain.Event:2", which is all that any writer makes today, are purged only behind an event whose
# session_log says START, and its own EventFileWriter writes none. With one (step 4) in front of the resumed steps the three
# orphans go. transformers 5.24.0's TensorBoardCallback makes its writer without a `purge_step`, so a Trainer that is resumed
# with TENSORBOARD_LOGGING_DIR set leaves such folders.
set -euo pipefail
packages=(tensorboard==2.21.0 setuptools==80.9.0)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python=${REF:+$REF/bin/python}
if [[ -z $python ]]; then
    python3 -m venv "$folder/venv"
    python=$folder/venv/bin/python
    "$python" -m pip install --quiet "${packages[@]}" || exit 2
fi
"$python" - "$folder" "${packages[0]}" <<'END' 2>/dev/null
import importlib.metadata, os, sys
name, version = sys.argv[2].split("==")
if importlib.metadata.version(name) != version:
    print(f"{name} {version} is needed; here: {importlib.metadata.version(name)}"), sys.exit(2)
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard.summary.writer.event_file_writer import EventFileWriter


def write(run, suffix, steps, start=None):
    writer = EventFileWriter(run, filename_suffix=suffix)
    if start is not None:
        session = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
        writer.add_event(event_pb2.Event(step=start, session_log=session))
    for step in steps:
        value = summary_pb2.Summary.Value(tag="train/loss", simple_value=1 / step)
        writer.add_event(event_pb2.Event(step=step, wall_time=step, summary=summary_pb2.Summary(value=[value])))
    writer.close()


changed = False
for start, expected in ((None, [1, 2, 3, 4, 5, 6, 4, 5, 6, 7]), (4, [1, 2, 3, 4, 5, 6, 7])):
    run = os.path.join(sys.argv[1], f"run-{start}")
    write(run, ".1", range(1, 7))
    write(run, ".2", range(4, 8), start)
    reader = EventAccumulator(run, purge_orphaned_data=True)
    reader.Reload()
    steps = [event.step for event in reader.Scalars("train/loss")]
    print(f"resumed {'without' if start is None else 'behind'} a session's start: steps {steps}")
    changed |= steps != expected
sys.exit(1 if changed else 0)
END
