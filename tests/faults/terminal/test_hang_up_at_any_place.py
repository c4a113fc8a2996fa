"""A terminal that goes while the program is at a chosen place: from its first lines to its last."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.terminal.conftest import Run, until
from tests.faults.terminal.programs import BSMON, TRAIN, hang_up_at
from tests.pty_harness import Terminal

SLOW = pytest.mark.slow
Hang = Callable[[str], Terminal]

BEFORE_AND_WHILE_IT_DRAWS = [
    pytest.param("bsmon.cli.train:launch", marks=SLOW, id="before the launcher"),
    pytest.param("bsmon.cli.setup:prepare", id="while the config is read"),
    pytest.param("bsmon.cli.capture:Capture.__enter__", marks=SLOW, id="before output goes to the log"),
    pytest.param("bsmon.cli.terminal_watch:TerminalWatch.__enter__", marks=SLOW, id="before the terminal is watched"),
    pytest.param("bsmon.ui.driver:DetachableDriver.__init__", marks=SLOW, id="before the terminal is taken"),
    pytest.param("bsmon.ui.driver:DetachableDriver.start_application_mode", marks=SLOW, id="as the terminal is taken"),
    pytest.param("bsmon.ui.panels.loss:Loss.rows", marks=SLOW, id="in the first frame"),
    pytest.param("bsmon.cli.training_app:TrainingApp.on_ready", marks=SLOW, id="after the first frame"),
    pytest.param("bsmon.session.live:LiveSession.start", marks=SLOW, id="as training starts"),
    pytest.param("bsmon.wire.server:RunServer.start", marks=SLOW, id="as the socket opens"),
]


@pytest.fixture
def hang(tmp_path: Path, environment: dict[str, str]) -> Hang:
    """Start bsmon so that it will wait at a place until its terminal is gone."""

    def start(place: str) -> Terminal:
        program = hang_up_at(place, tmp_path / "reached")
        return Terminal(program, columns=120, rows=40, cwd=tmp_path, env=environment)

    return start


@pytest.mark.parametrize("place", BEFORE_AND_WHILE_IT_DRAWS)
def test_it_trains_on(run: Run, tmp_path: Path, hang: Hang, place: str) -> None:
    with hang(place) as terminal:
        until((tmp_path / "reached").exists)
        terminal.hangup()
        until(lambda: run.has_begun)
        assert run.is_training_on()
        run.terminate()
        assert terminal.wait() == 130
        assert run.status == "stopped"


@SLOW
@pytest.mark.parametrize(("keys", "shown"), [("q", "stop now"), ("b", "Type a number of samples"), ("?", "help")])
def test_in_a_dialog_it_trains_on(run: Run, tmp_path: Path, environment: dict[str, str], keys: str, shown: str) -> None:
    with Terminal([*BSMON, *TRAIN], columns=120, rows=40, cwd=tmp_path, env=environment) as terminal:
        terminal.until("batch 32")
        terminal.press(*keys)
        terminal.until(shown)
        terminal.hangup()
        until(lambda: run.says("The terminal is gone"))
        assert run.is_training_on()


@SLOW
def test_while_the_person_detaches_it_trains_on(run: Run, tmp_path: Path, hang: Hang) -> None:
    with hang("bsmon.cli.launcher:Tether.let_go") as terminal:
        terminal.until("batch 32")
        terminal.press("d")
        until((tmp_path / "reached").exists)
        terminal.hangup()
        assert run.is_training_on()


@SLOW
@pytest.mark.parametrize("place", ["bsmon.cli.screen:finish", "bsmon.cli.running:conclude"])
def test_a_run_that_ends_is_saved_all_the_same(run: Run, tmp_path: Path, hang: Hang, place: str) -> None:
    with hang(place) as terminal:
        terminal.until("batch 32")
        terminal.signal(signal.SIGTERM)
        until((tmp_path / "reached").exists)
        terminal.hangup()
        assert terminal.wait() == 130
        assert run.status == "stopped"
        assert list(run.dir.checkpoints_path.glob("*.pt"))


@SLOW
def test_a_signal_alone_is_taken_for_a_hang_up(run: Run, tmp_path: Path, environment: dict[str, str]) -> None:
    with Terminal([*BSMON, *TRAIN], columns=120, rows=40, cwd=tmp_path, env=environment) as terminal:
        terminal.until("batch 32")
        run.signal(signal.SIGHUP)
        until(lambda: run.says("The terminal is gone (hang-up)"))
        assert run.is_training_on()


@SLOW
def test_the_loaders_workers_outlive_it_too(run: Run, tmp_path: Path, environment: dict[str, str]) -> None:
    program = [*BSMON, *TRAIN, "--set", "train.num_workers=2"]
    with Terminal(program, columns=120, rows=40, cwd=tmp_path, env=environment) as terminal:
        terminal.until("batch 32")
        os.killpg(os.getpgid(run.pid), signal.SIGHUP)  # to the whole job, as a shell does that loses its terminal
        until(lambda: run.says("The terminal is gone"))
        assert run.is_training_on()
