"""When a checkpoint is due, by a clock that the test turns."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from bsmon.config.schema import Checkpoint
from bsmon.engine.checkpoint import CheckpointStore
from bsmon.engine.saver import Saver
from tests.unit.engine.harness import Recorder


@pytest.mark.parametrize(
    ("every_s", "at", "saved"),
    [
        # The first one early, so that a run killed in its first minutes has something to go on from.
        (300.0, [29.0, 30.0, 31.0, 329.0, 330.0], [30.0, 330.0]),
        (10.0, [9.0, 10.0, 19.0, 20.0], [10.0, 20.0]),
        (40.0, [30.0, 69.0, 70.0], [30.0, 70.0]),
    ],
)
def test_checkpoints_by_time(tmp_path: Path, every_s: float, at: list[float], saved: list[float]) -> None:
    now, captured = 0.0, []

    def capture() -> dict[str, object]:
        captured.append(now)
        return {"weight": torch.ones(2)}

    saver = Saver(CheckpointStore(tmp_path / "c"), Checkpoint(every_s=every_s), Recorder(), capture, lambda: now)
    for now in at:
        saver.save_if_due(int(now))
        if captured:
            saver.load()  # waits for the disk: a save that is under way holds up no other
    saver.close(int(now))
    assert captured == saved
