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

NOISY = """
import os, sys, warnings
from bsmon.cli import main
from bsmon.engine import run
train = run.run
def noisy(*values):
    print("printed to stdout")
    print("printed to stderr", file=sys.stderr)
    warnings.warn("a warning")
    os.write(1, b"written to descriptor 1" + os.linesep.encode())
    os.write(2, b"written to descriptor 2" + os.linesep.encode())
    train(*values)
run.run = noisy
main()
"""
"""bsmon with code that prints in every way there is."""

ELSEWHERE = """
import platform
platform.node = lambda: "elsewhere"
from bsmon.cli import main
main()
"""
"""bsmon on what it takes for another machine."""

HANG_UP_AT = """
import importlib, os, select, sys
from pathlib import Path
from bsmon.cli import main

place, reached = sys.argv[1], Path(sys.argv[2])
del sys.argv[1:3]
terminal = os.dup(0)
module, _, path = place.partition(":")
owner = importlib.import_module(module)
*parents, name = path.split(".")
for parent in parents:
    owner = getattr(owner, parent)
original = getattr(owner, name)

def held(*values, **named):
    if not reached.exists():
        reached.touch()
        gone = select.poll()
        gone.register(terminal, 0)
        while not gone.poll():
            pass
    return original(*values, **named)

setattr(owner, name, held)
main()
"""
"""bsmon that stops where a function is called, says so by making a file, and goes on once its terminal is gone."""


def hang_up_at(place: str, reached: Path) -> list[str]:
    """A training that goes through `place` ("module:function", "module:Class.method") while its terminal goes."""
    return [sys.executable, "-c", HANG_UP_AT, place, str(reached), *TRAIN]


def script(source: str) -> list[str]:
    """A training by a program of the test's own."""
    return [sys.executable, "-c", source, *TRAIN]
