"""Data, models and disks that fail: the person is told what, where, and what to do."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from bsmon.config.schema import Checkpoint, DataTarget
from bsmon.core.records import EventKind, Level
from bsmon.core.snapshot import RunState
from tests.unit.engine.harness import HERE, config_for, play
from tests.unit.engine.histories import FailingSpy

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("workers", [0, 1])
def test_a_sample_that_cannot_be_loaded_is_named(workers: int, tmp_path: Path) -> None:
    config = config_for("items", samples=24, train={"num_workers": workers})
    data = DataTarget(target=f"{HERE}:items", arguments={"samples": 24, "broken": 17})
    failure = play(structs.replace(config, data=data), tmp_path, fails=True).recorder.failure
    assert failure is not None
    assert failure.message == "OSError: the picture is cut off"
    assert "bsmon: the data set raised this for its sample 17." in failure.traceback
    assert "index_task.py" in failure.traceback


def test_a_model_that_cannot_take_the_odd_last_batch_is_told_of_drop_last(tmp_path: Path) -> None:
    config = config_for("rows", "odd", samples=23)
    failure = play(config, tmp_path / "odd", fails=True).recorder.failure
    assert failure is not None
    assert "drop_last" in failure.traceback
    dropped = structs.replace(config, train=structs.replace(config.train, drop_last=True))
    assert play(dropped, tmp_path / "dropped").recorder.states[-1] is RunState.FINISHED


def test_a_model_that_fails_on_a_full_batch_is_not_told_of_drop_last(tmp_path: Path) -> None:
    failure = play(config_for("rows", "odd", samples=24, batch=5), tmp_path, fails=True).recorder.failure
    assert failure is not None
    assert "drop_last" not in failure.traceback


def test_batchnorm_on_one_sample_says_what_it_needs(tmp_path: Path) -> None:
    failure = play(config_for("table", "net", batch=1), tmp_path, fails=True).recorder.failure
    assert failure is not None
    assert "micro batches of 16 samples or more" in failure.traceback


def test_a_traceback_begins_with_the_persons_own_code(tmp_path: Path) -> None:
    failure = play(config_for("rows", "odd", samples=24, batch=5), tmp_path, fails=True).recorder.failure
    assert failure is not None
    first = next(line for line in failure.traceback.splitlines() if line.strip().startswith("File "))
    assert "index_task.py" in first
    assert "in forward" in first


def test_a_loss_that_is_no_number_is_said_once_and_training_goes_on(tmp_path: Path) -> None:
    played = play(config_for("rows", "nan", epochs=3), tmp_path)
    said = [event for event in played.recorder.events if event.kind is EventKind.HEALTH]
    assert [(event.level, event.step) for event in said] == [(Level.ERROR, 3)]
    assert "the loss is nan" in said[0].text
    losses = [step.loss for step in played.recorder.steps_made]
    assert [loss is not None and math.isnan(loss) for loss in losses] == [False, False] + [True] * 16
    assert played.recorder.states[-1] is RunState.FINISHED


def test_stop_on_nan_ends_the_run_as_failed(tmp_path: Path) -> None:
    failure = play(config_for("rows", "nan", train={"stop_on_nan": True}), tmp_path, fails=True).recorder.failure
    assert failure is not None
    assert "the loss is nan at step 3" in failure.message
    assert not failure.bad_input


def test_memory_that_never_suffices_ends_the_run_in_words_with_the_weights_saved(tmp_path: Path) -> None:
    class Never(FailingSpy):
        def backward_done(self, micro_batch: int) -> None:
            if self.attempt == 3:
                raise MemoryError("no memory at all")

    played = play(config_for("rows"), tmp_path, spy=Never(), fails=True)
    failure = played.recorder.failure
    assert failure is not None
    assert "one sample at a time" in failure.message
    assert "no memory at all" in failure.message
    assert played.recorder.fences == (2, 4)
    assert [path.name.split("-step-")[1].split("-")[0] for path in tmp_path.glob("*.pt")] == ["2"]


def test_an_error_of_the_own_code_comes_with_its_whole_traceback(tmp_path: Path) -> None:
    class Broken(FailingSpy):
        def backward_done(self, micro_batch: int) -> None:
            raise ZeroDivisionError("my own mistake")

    failure = play(config_for("rows"), tmp_path, spy=Broken(), fails=True).recorder.failure
    assert failure is not None
    assert failure.message == "ZeroDivisionError: my own mistake"
    assert "in backward_done" in failure.traceback


# A process of its own: the limit holds for all files that a process writes.
FULL_DISK = """
import json, resource, sys
from pathlib import Path
from bsmon.config.schema import Checkpoint
from bsmon.core.commands import Pause, Save
from bsmon.core.records import EventKind
from tests.unit.engine.harness import config_for, play

class Disk:
    full = False

def fill(full):
    limit = 1000 if full else resource.RLIM_INFINITY
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))

folder = Path(sys.argv[1])
config = config_for("table", "net", samples=24, checkpoint=Checkpoint(every_s=1e6, every_steps=2))
first = play(config, folder)
fill(True)
played = play(config, folder, fails=None)
fill(False)
events = [(e.level.value, e.text) for e in played.recorder.events if e.kind is EventKind.CHECKPOINT]
from bsmon.engine.checkpoint import CheckpointStore
left = sorted(path.suffix for path in folder.iterdir())
failure = played.recorder.failure
print(json.dumps({"events": events, "failure": failure and failure.message, "state": played.recorder.states[-1].value,
    "steps": len(played.recorder.steps_made), "left": left, "loads": CheckpointStore(folder).load().step}))
"""


def test_a_full_disk_does_not_stop_the_training(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path / "c")],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"},
    )
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    assert result["failure"] is None
    assert (result["state"], result["steps"], result["loads"]) == ("finished", 12, 12)
    # One or two checkpoints, as the writer's thread kept up or not, and nothing half-written.
    assert set(result["left"]) == {".json", ".pt"}
    assert result["events"]
    assert all(
        level == "error" and "the file is larger than this system allows. Training goes on." in text
        for level, text in result["events"]
    )


def test_checkpoints_are_written_when_they_are_due_and_only_so_many_stay(tmp_path: Path) -> None:
    config = config_for("rows", samples=24, checkpoint=Checkpoint(every_s=1e6, every_steps=5, keep=2))
    played = play(config, tmp_path)
    assert [event.data["saved_step"] for event in played.recorder.events if "saved_step" in event.data][-1] == 12
    assert len(list(tmp_path.glob("*.pt"))) <= 2
