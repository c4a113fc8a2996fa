"""The terminal may go at any time and in any way: the training goes on, says so, and ends as it should."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

from tests.faults.terminal.conftest import Run, until
from tests.faults.terminal.programs import BROKEN_PANEL, BSMON, HANG_UP_BLOCKED, TRAIN, script
from tests.pty_harness import Terminal


def test_a_hang_up_ends_no_training(run: Run, tmp_path: Path, environment: dict[str, str]) -> None:
    with Terminal([*BSMON, *TRAIN], columns=120, rows=40, cwd=tmp_path, env=environment) as terminal:
        terminal.until("batch 32")
        terminal.hangup()
        until(lambda: run.says("The terminal is gone"))
        assert run.is_training_on()
        run.terminate()
        assert terminal.wait() == 130
        assert run.status == "stopped"


def test_sigterm_saves_and_puts_the_terminal_back(run: Run, tmp_path: Path, environment: dict[str, str]) -> None:
    with Terminal([*BSMON, *TRAIN], columns=120, rows=40, cwd=tmp_path, env=environment) as terminal:
        terminal.until("batch 32")
        terminal.signal(signal.SIGTERM)
        assert terminal.wait() == 130
        assert terminal.left_behind() == []
        assert run.status == "stopped"
        assert list(run.dir.checkpoints_path.glob("*.pt"))


def test_sigterm_before_the_first_frame_leaves_nothing_behind(tmp_path: Path, environment: dict[str, str]) -> None:
    with Terminal([*BSMON, *TRAIN], columns=120, rows=40, cwd=tmp_path, env=environment) as terminal:
        until(lambda: any(tmp_path.glob("runs/*/run.json")))
        terminal.signal(signal.SIGTERM)
        assert terminal.wait() == 130
        assert terminal.left_behind() == []
        assert not any(tmp_path.glob("runs/*"))


def test_an_error_of_the_screen_ends_no_training(run: Run, tmp_path: Path, environment: dict[str, str]) -> None:
    with Terminal(script(BROKEN_PANEL), columns=120, rows=40, cwd=tmp_path, env=environment) as terminal:
        terminal.until("the screen failed: RuntimeError: a bug in a panel")
        terminal.until("bsmon attach")
        assert run.is_training_on()
        assert "in broken" in run.dir.log_path.read_text(encoding="utf-8")
        terminal.press("ctrl+c")
        assert terminal.wait() == 130
        assert terminal.left_behind() == []


@pytest.mark.slow
@pytest.mark.parametrize("blocked", [False, True], ids=["plain", "SIGHUP blocked"])
@pytest.mark.parametrize("stalled", [False, True], ids=["quick", "stalled"])
def test_every_way_to_lose_a_terminal(
    run: Run, tmp_path: Path, environment: dict[str, str], blocked: bool, stalled: bool
) -> None:
    program = script(HANG_UP_BLOCKED) if blocked else [*BSMON, *TRAIN]
    with Terminal(program, columns=200, rows=60, cwd=tmp_path, env=environment) as terminal:
        terminal.until("batch 32")
        if stalled:
            stall(terminal, run)
        terminal.hangup()
        until(lambda: run.says("The terminal is gone"))
        assert run.is_training_on()
        run.terminate()
        assert terminal.wait() == 130


@pytest.mark.slow
def test_sigterm_ends_a_training_whose_terminal_has_stalled(
    run: Run, tmp_path: Path, environment: dict[str, str]
) -> None:
    with Terminal([*BSMON, *TRAIN], columns=200, rows=60, cwd=tmp_path, env=environment) as terminal:
        terminal.until("batch 32")
        stall(terminal, run)
        run.terminate()
        assert terminal.process.wait(30) == 130  # not terminal.wait, which would read


@pytest.mark.slow
def test_a_storm_of_resizes(run: Run, tmp_path: Path, environment: dict[str, str]) -> None:
    with Terminal([*BSMON, *TRAIN], columns=120, rows=40, cwd=tmp_path, env=environment) as terminal:
        terminal.until("batch 32")
        for turn in range(500):
            terminal.resize(60 + turn % 90, 15 + turn % 40)
        terminal.resize(120, 40)
        assert run.is_training_on()
        terminal.press("+")
        terminal.until("batch 64")
        terminal.press("q")
        terminal.until("stop now")
        terminal.press("s")
        assert terminal.wait() == 130
        assert terminal.left_behind() == []


@pytest.mark.slow
def test_tmux_is_killed(run: Run, tmp_path: Path, environment: dict[str, str]) -> None:
    tmux = ["tmux", "-S", str(tmp_path / "tmux"), "-f", "/dev/null"]
    command = " ".join([*BSMON, *TRAIN])
    assignments = [f"{name}={value}" for name, value in environment.items()]
    start = [*tmux, "new-session", "-d", "-x", "120", "-y", "40", "env", *assignments, "sh", "-c", command]
    subprocess.run(start, cwd=tmp_path, check=True)
    until(lambda: run.has_begun)
    assert run.is_training_on()
    subprocess.run([*tmux, "kill-server"], check=True)
    until(lambda: run.says("The terminal is gone"))
    assert run.is_training_on()
    run.terminate()
    until(lambda: not run.is_alive)
    assert run.status == "stopped"


def stall(terminal: Terminal, run: Run) -> None:
    """Make it draw more than the terminal takes while nobody reads, and see that it trains all the same."""
    for turn in range(40):
        terminal.resize(200 - turn % 2, 60)
        terminal.press("y")
    assert run.is_training_on()
