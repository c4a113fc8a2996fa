"""`bsmon train --detach`: up means up, and what ends a run before that is said where the person is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.terminal.conftest import Run, until
from tests.faults.terminal.programs import BSMON, ELSEWHERE, TRAIN
from tests.pty_harness import Terminal


def detach(folder: Path, environment: dict[str, str], *more: str) -> subprocess.CompletedProcess[str]:
    """Start without a terminal; returns when the command does."""
    command = [*BSMON, *TRAIN, "--detach", *more]
    return subprocess.run(
        command, cwd=folder, env=os.environ | environment, capture_output=True, text=True, check=False, timeout=60
    )


def test_it_returns_once_the_run_trains(run: Run, tmp_path: Path, environment: dict[str, str]) -> None:
    done = detach(tmp_path, environment)
    assert (done.returncode, done.stdout) == (0, "")
    assert f"bsmon attach runs/{run.dir.path.name}" in done.stderr
    assert os.getsid(run.pid) == run.pid
    assert run.is_training_on()
    run.terminate()
    until(lambda: not run.is_alive)
    assert run.status == "stopped"


def test_a_run_that_cannot_start_says_why(run: Run, tmp_path: Path, environment: dict[str, str]) -> None:
    done = detach(tmp_path, environment, "--device", "cuda:99")
    assert done.returncode == 2
    assert "cuda:99" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_on_a_terminal_it_attaches_with_control(run: Run, tmp_path: Path, environment: dict[str, str]) -> None:
    program = [*BSMON, *TRAIN, "--detach"]
    with Terminal(program, columns=120, rows=40, cwd=tmp_path, env=environment) as terminal:
        terminal.until("batch 32")
        terminal.press("+")
        terminal.until("batch 64")
        terminal.press("d")
        assert terminal.wait() == 0
        assert terminal.left_behind() == []
        assert run.is_training_on()


@pytest.mark.slow
def test_from_another_machine_it_is_seen_and_not_changed(run: Run, tmp_path: Path, environment: dict[str, str]) -> None:
    assert detach(tmp_path, environment).returncode == 0
    program = [sys.executable, "-c", ELSEWHERE, "attach", "--control"]
    with Terminal(program, columns=120, rows=40, cwd=tmp_path, env=environment) as terminal:
        terminal.until("batch 32")
        terminal.until("View only: the run is seen through its files")
        terminal.press("+")
        terminal.until(lambda screen: screen.count("View only") > 1)
        terminal.press("q")
        assert terminal.wait() == 0
    batch = run.until(lambda snapshot: snapshot.batch is not None).batch
    assert batch is not None
    assert batch.batch_size == 32
    assert run.is_training_on()
