"""The real program is interrupted, terminated and killed, and resumed after each."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.faults.engine import program

FURTHER = 300


@pytest.mark.parametrize("number", [pytest.param(signal.SIGINT, marks=pytest.mark.slow), signal.SIGTERM])
def test_a_signal_saves_and_ends_with_130(number: signal.Signals, tmp_path: Path) -> None:
    with program.start(tmp_path) as process:
        program.until_saved(process)
        status, said = program.end(process, number)
    assert status == 130
    summary = said[-1]
    assert (summary["type"], summary["state"]) == ("summary", "stopped")
    assert program.newest(tmp_path).step == summary["step"]


def test_kill_9_then_resume_is_the_run_that_was_not_killed(tmp_path: Path) -> None:
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    for folder in (killed, whole):
        folder.mkdir()
    with program.start(killed) as process:
        program.until_saved(process)
        status, _ = program.end(process, signal.SIGKILL)
    assert status == -signal.SIGKILL
    steps = program.newest(killed).step + FURTHER
    resumed = program.finish(killed, steps, "--resume", str(killed / program.RUN))
    assert program.differences(program.finish(whole, steps), resumed) == []
