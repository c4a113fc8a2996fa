"""How a run's folder and the exit status tell what came of it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from bsmon.cli.ending import conclude
from bsmon.core.snapshot import Failure, RunInfo, RunState, Snapshot
from bsmon.store.run_dir import RunDir

BAD = Failure("no such device", "", bad_input=True)
BUG = Failure("a bug", "Traceback")


@pytest.mark.parametrize(
    ("state", "failure", "resumed", "exit_status", "status"),
    [
        (RunState.FINISHED, None, False, 0, "finished"),
        (RunState.STOPPED, None, False, 130, "stopped"),
        (RunState.FAILED, BUG, False, 1, "failed"),
        (RunState.FAILED, BAD, False, 2, None),
        (RunState.FAILED, BAD, True, 2, "failed"),
        (RunState.STARTING, None, False, 130, None),
        (RunState.STARTING, None, True, 130, "stopped"),
        (RunState.TRAINING, None, False, 130, "stopped"),
    ],
)
def test_what_a_run_leaves(
    tmp_path: Path, state: RunState, failure: Failure | None, resumed: bool, exit_status: int, status: str | None
) -> None:
    run = RunDir.create(tmp_path, "ended", datetime.now(UTC), config=b"", about={})
    last = Snapshot(1, RunInfo("ended"), state, failure=failure)
    assert conclude(last, run, resumed=resumed) == exit_status
    assert run.path.exists() == (status is not None)
    if status is not None:
        assert RunDir.open(run.path).record["status"] == status
