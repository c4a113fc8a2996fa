"""The real program in a real terminal, driven as a person drives it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.terminal.programs import NOISY, script
from tests.pty_harness import Terminal

ROOT = Path(__file__).resolve().parents[1]
BSMON = [sys.executable, "-m", "bsmon"]
# Long enough that no machine finishes it while the test looks.
ENDLESS = ["train", str(ROOT / "examples" / "digits-mlp.toml"), "--set", "run.epochs=100000", "--set", "batch.size=32"]
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT / "src")}


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    return Terminal([*BSMON, *ENDLESS], columns=120, rows=40, cwd=tmp_path, env=ENVIRONMENT)


def test_the_batch_size_is_changed_while_it_trains(terminal: Terminal) -> None:
    with terminal:
        terminal.until("batch 32")
        assert b"starting" in terminal.raw
        terminal.press("+")
        terminal.until("batch 64")
        terminal.press("-")
        terminal.until("batch 32")
        terminal.press("q")
        terminal.until("stop now")
        terminal.press("s")
        assert terminal.wait() == 130
        assert terminal.left_behind() == []


def test_what_is_printed_goes_to_the_log_and_not_across_the_screen(tmp_path: Path) -> None:
    with Terminal(script(NOISY), columns=120, rows=40, cwd=tmp_path, env=ENVIRONMENT) as terminal:
        terminal.until("batch 32")
        assert "printed to" not in terminal.screen_text
        terminal.press("o")
        terminal.until("printed to stdout")
        (log,) = tmp_path.glob("runs/*/log.txt")
        printed = log.read_text(encoding="utf-8")
        for text in ("to stdout", "to stderr", "UserWarning: a warning", "to descriptor 1", "to descriptor 2"):
            assert text in printed


def test_a_typed_size_that_cannot_be_is_refused_in_words(terminal: Terminal) -> None:
    with terminal:
        terminal.until("batch 32")
        terminal.press("b")
        terminal.until("Type a number of samples")
        terminal.type("999999")
        terminal.until("only 1,438")
        terminal.press("escape")
        terminal.until_gone("999999")


def test_it_survives_every_size_of_terminal(terminal: Terminal) -> None:
    with terminal:
        terminal.until("training")
        for columns, rows in [(80, 24), (20, 5), (1, 1), (200, 50), (80, 24)]:
            terminal.resize(columns, rows)
        terminal.until("batch 32")
        assert terminal.process.poll() is None


def test_a_run_that_finishes_says_so_and_ends_with_0(tmp_path: Path) -> None:
    example = str(ROOT / "examples" / "digits-mlp.toml")
    short = ["train", example, "--set", "run.epochs=1", "--set", "schedule.warmup_epochs=0"]
    with Terminal([*BSMON, *short], cwd=tmp_path, env=ENVIRONMENT) as terminal:
        terminal.until("finished")
        terminal.press("q")
        assert terminal.wait() == 0
        assert terminal.left_behind() == []


PRINTING = """
import sys, torch
from torch.utils.data import TensorDataset

def data():
    print("a line of its own")
    print("a warning of its own", file=sys.stderr)
    return TensorDataset(torch.randn(64, 8), torch.arange(64) % 2)
"""


def test_beside_the_screen_workers_start_and_what_is_printed_is_logged(tmp_path: Path) -> None:
    (tmp_path / "printing.py").write_text(PRINTING)
    parts = '[data]\ntarget = "printing:data"\n[model]\nname = "mlp"\n[train]\nnum_workers = 1\n[run]\nepochs = 1\n'
    (tmp_path / "run.toml").write_text(parts)
    with Terminal([*BSMON, "train", "run.toml"], columns=120, rows=40, cwd=tmp_path, env=ENVIRONMENT) as terminal:
        terminal.until("finished")
        terminal.press("q")
        assert terminal.wait() == 0
    (log,) = tmp_path.glob("runs/*/log.txt")
    printed = log.read_text()
    assert "a line of its own" in printed
    assert "a warning of its own" in printed


def test_bad_input_is_a_message_on_the_plain_screen(tmp_path: Path) -> None:
    with Terminal([*BSMON, "train", "nowhere.toml"], cwd=tmp_path, env=ENVIRONMENT) as terminal:
        assert terminal.wait() == 2
        assert "nowhere.toml" in terminal.screen_text
        assert "Traceback" not in terminal.screen_text


def test_a_pipe_gets_plain_lines_and_an_interrupt_a_summary(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [*BSMON, *ENDLESS, "--json", "--interval", "0.1"],
        cwd=tmp_path,
        env=os.environ | ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    with process:
        lines = (json.loads(line) for line in process.stdout)
        next(line for line in lines if line.get("state") == "training")
        process.send_signal(signal.SIGINT)
        *_, summary = lines
        assert process.wait() == 130
    assert summary["type"] == "summary"
    assert summary["state"] == "stopped"
