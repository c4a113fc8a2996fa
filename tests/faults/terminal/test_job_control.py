"""bsmon as a job of a real shell: detach and come back, Ctrl-Z, bg, fg, and a training that is killed."""

from __future__ import annotations

import os
import re
import shlex
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.terminal.conftest import Run, until
from tests.faults.terminal.programs import BSMON, PROMPT, SHELL, TRAIN
from tests.pty_harness import Terminal


class Shell(Terminal):
    """An interactive bash."""

    def enter(self, command: str) -> None:
        """Type a command line on an empty screen."""
        self.type(f"clear; {command}\r")

    def status(self) -> int:
        """The exit status of the last command."""
        self.type("echo status=$?.\r")
        found = re.search(r"status=(\d+)\.", self.until(lambda screen: re.search(r"status=\d+\.", screen) is not None))
        assert found
        return int(found[1])

    def until_prompt(self) -> None:
        """Wait for the shell to have the terminal again."""
        self.until(lambda screen: screen.rstrip().endswith(PROMPT.rstrip()))


@pytest.fixture
def shell(run: Run, tmp_path: Path, environment: dict[str, str]) -> Iterator[Shell]:
    with Shell(SHELL, columns=120, rows=40, cwd=tmp_path, env={**environment, "PS1": PROMPT}) as opened:
        opened.until_prompt()
        opened.enter(f'bsmon() {{ {shlex.join(BSMON)} "$@"; }}')
        opened.until_prompt()
        yield opened


def test_detach_and_come_back(shell: Shell, run: Run) -> None:
    shell.enter(f"bsmon {shlex.join(TRAIN)}")
    shell.until("batch 32")
    shell.press("d")
    shell.until("bsmon attach runs/digits-mlp-")
    shell.until_prompt()
    assert os.getsid(run.pid) == run.pid  # no terminal can signal it any more
    assert shell.status() == 0
    shell.enter("bsmon attach")
    shell.until("batch 32")
    shell.press("+")
    shell.until("only looks on")
    shell.press("q")
    shell.until("it goes on")
    shell.enter("bsmon attach --control")
    shell.until("batch 32")
    shell.press("+")
    shell.until("batch 64")
    shell.press("q")
    shell.until("stop now")
    shell.press("s")
    shell.until("has ended (stopped)")
    until(lambda: not run.is_alive)
    assert run.status == "stopped"


def test_stop_background_foreground(shell: Shell, run: Run) -> None:
    shell.enter(f"bsmon {shlex.join(TRAIN)}")
    shell.until("batch 32")
    shell.press("ctrl+z")
    shell.until("Stopped")
    shell.until_prompt()
    shell.enter("bg; echo back$((0+1))ground")  # the sum tells what is printed from what was typed
    shell.until("back1ground")
    assert run.is_training_on()
    assert "Stopped" not in shell.screen_text
    shell.enter("fg")
    shell.until("batch 32")
    shell.press("+")
    shell.until("batch 64")
    shell.press("q")
    shell.until("stop now")
    shell.press("s")
    shell.until_prompt()
    assert shell.status() == 130


def test_a_training_that_is_killed_leaves_a_usable_terminal(shell: Shell, run: Run) -> None:
    shell.enter(f"bsmon {shlex.join(TRAIN)}")
    shell.until("batch 32")
    os.kill(run.pid, signal.SIGKILL)
    shell.until("killed by SIGKILL")
    shell.until_prompt()
    assert shell.status() == 137
    shell.enter("stty -a")
    shell.until(" echo ")


@pytest.mark.slow
def test_started_in_the_background_it_trains_and_fg_brings_the_screen(shell: Shell, run: Run) -> None:
    shell.enter(f"bsmon {shlex.join(TRAIN)} &")
    shell.until_prompt()
    until(lambda: run.has_begun)
    assert run.is_training_on()
    shell.enter("fg")
    shell.until("batch 32")
    shell.press("d")
    shell.until("bsmon attach runs/")


@pytest.mark.slow
def test_the_launcher_is_killed_and_the_training_goes_on(shell: Shell, run: Run) -> None:
    shell.enter(f"{shlex.join(BSMON)} {shlex.join(TRAIN)}")
    shell.until("batch 32")
    os.kill(parent_of(run.pid), signal.SIGKILL)
    until(lambda: run.says("the process that the shell waited for was killed"))
    assert run.is_training_on()


def parent_of(pid: int) -> int:
    """The process that started this one."""
    after_name = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2]
    return int(after_name.split()[1])
