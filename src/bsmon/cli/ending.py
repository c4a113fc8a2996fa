"""How a command ends: exit statuses, and what a person must know of a run that ended."""

from __future__ import annotations

import contextlib
import shutil
from typing import TYPE_CHECKING

import click

from bsmon.core.text import clean

if TYPE_CHECKING:
    from bsmon.core.snapshot import Snapshot
    from bsmon.store.run_dir import RunDir

EXIT_FAILED = 1
EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130


def conclude(last: Snapshot, run_dir: RunDir, *, resumed: bool) -> int:
    """Say what the person must know after the screen is gone, and return the exit status."""
    from bsmon.core.snapshot import RunState

    # A SIGTERM before the first frame: nothing was begun, and nobody killed it either.
    state = last.state if last.state.ended else RunState.STOPPED
    with contextlib.suppress(OSError):  # a full disk must not hide how the run ended
        run_dir.update(status=state.value, step=last.progress.step)
    failure = last.failure
    if failure is not None and failure.bad_input:
        say(f"bsmon: {clean_lines(failure.message)}", nl=False)
        if not resumed:
            _discard(run_dir)
        return EXIT_BAD_INPUT
    if failure is not None:
        say(clean_lines(failure.traceback), nl=False)
        say(f"bsmon: the training failed at step {last.progress.step}: {clean(failure.message)}")
        return EXIT_FAILED
    if last.state is RunState.STARTING and not resumed:
        _discard(run_dir)
    return 0 if state is RunState.FINISHED else EXIT_INTERRUPTED


def say(text: str, *, nl: bool = True) -> None:
    """Tell the person on stderr; where the terminal has gone nobody is there to be told, and nothing is wrong."""
    with contextlib.suppress(OSError):
        click.echo(text, err=True, nl=nl)


def clean_lines(text: str) -> str:
    """A text of several lines, safe for a terminal, its line breaks kept."""
    return "".join(f"{clean(line)}\n" for line in text.splitlines())


def _discard(run_dir: RunDir) -> None:
    """A run that never began leaves no folder behind, unless something was printed that may tell why."""
    printed = run_dir.log_path.exists() and run_dir.log_path.stat().st_size > 0
    if not printed:
        shutil.rmtree(run_dir.path, ignore_errors=True)
