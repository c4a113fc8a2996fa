"""`bsmon train --detach`: the training in a session of its own from the start, and a viewer of it on this terminal."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from bsmon.cli.alone import ignore_terminal, train_on
from bsmon.cli.launcher import leave_session
from bsmon.cli.serving import Serving
from bsmon.core.snapshot import RunState
from bsmon.session.live import LiveSession
from bsmon.store.run_dir import RunDir

_LOOK_EVERY_S = 0.05


def start_apart(train: Callable[[Announce], int]) -> int | Path:
    """Fork a process that trains; return the run's folder once it is up, or the exit status of one that is not.

    In the child it returns the exit status, too, at the run's end. Call it before any thread exists. Ctrl-C before the
    run is up ends it.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(ours)
        return train(Announce(theirs))
    os.close(theirs)
    try:
        with os.fdopen(ours, "rb") as pipe:
            announced = pipe.read()
    except KeyboardInterrupt:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGTERM)
        announced = b""
    if announced:
        return Path(os.fsdecode(announced))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


class Announce:
    """The child's way to tell the waiting parent that the run is up."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def up(self, folder: Path) -> None:
        """The run trains, in this folder."""
        with contextlib.suppress(BrokenPipeError):  # nobody waits any more: no reason not to train
            os.write(self._descriptor, os.fsencode(folder))
        os.close(self._descriptor)


def train_apart(session: LiveSession, run: RunDir, announce: Announce) -> None:
    """Train to the end without a terminal. What ends a run before its first step is still said on the terminal."""
    terminal = os.dup(2)
    leave_session()
    _redirect(run.log_path)
    ignore_terminal(session)
    with Serving(session, run) as serving:
        serving.start()
        while session.snapshot().state is RunState.STARTING and not session.ended.wait(_LOOK_EVERY_S):
            pass
        if session.ended.is_set() and session.snapshot().failure is not None:
            os.dup2(terminal, 2)
            os.close(terminal)
            return
        os.close(terminal)
        announce.up(run.path)
        train_on(session)


def _redirect(log: Path) -> None:
    """Standard input from nowhere, output to the log."""
    nowhere = os.open(os.devnull, os.O_RDONLY)
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for number, target in ((0, nowhere), (1, file), (2, file)):
        os.dup2(target, number)
    os.close(nowhere)
    os.close(file)
