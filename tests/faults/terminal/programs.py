"""The programs that the tests run in a terminal."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
BSMON = [sys.executable, "-m", "bsmon"]
# Long enough that no machine finishes it while the test looks.
TRAIN = ["train", str(ROOT / "examples" / "digits-mlp.toml"), "--set", "run.epochs=100000", "--set", "batch.size=32"]
SHELL = ["bash", "--norc", "--noprofile", "-i"]
PROMPT = "READY> "

BROKEN_PANEL = """
from bsmon.ui.panels.loss import Loss
from bsmon.cli import main
rows = Loss.rows
def broken(self, view, *size):
    if view.snapshot.progress.step > 0:
        raise RuntimeError("a bug in a panel")
    return rows(self, view, *size)
Loss.rows = broken
main()
"""
"""bsmon with a panel that fails at the first step."""

HANG_UP_BLOCKED = """
import signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
from bsmon.cli import main
main()
"""
"""bsmon started with SIGHUP blocked: nothing tells it that the terminal went."""


def script(source: str) -> list[str]:
    """A training by a program of the test's own."""
    return [sys.executable, "-c", source, *TRAIN]
