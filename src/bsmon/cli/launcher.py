"""The process that the shell waits for, beside the one that draws and trains.

A process cannot give the prompt back and go on. So `bsmon train` on a terminal forks first of all, while there is no
thread and nothing heavy is loaded: the child does everything, the parent only waits for it and hands signals and the
exit status on. When the person detaches, the child leaves the terminal's session and tells the parent, which ends
with 0: the prompt is back, the training never noticed. Both are in the shell's one job, so Ctrl-Z, bg, fg and kill
work as ever.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import termios
from collections.abc import Callable
from typing import Any, NoReturn

from bsmon.cli.ending import say

DETACHED = 0
"""The launcher's exit status when the person detached: nothing went wrong, and the run has not ended."""

# Leave the alternate screen; cursor, line wrap on; focus reports, pasting and the keyboard protocol as they were.
_RESTORE = b"\x1b[<u\x1b[?2004l\x1b[?2048l\x1b[?1004l\x1b[?7h\x1b[?1049l\x1b[?25h"


def outlive_hang_ups() -> None:
    """From now on a terminal that goes ends nothing here. First of all: a signal that comes before would.

    Whoever needs to know of it looks at the terminal itself (`terminal_watch`), which shows a hang-up for good.
    """
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


class LetGo(Exception):
    """The child goes on by itself."""


class Tether:
    """The child's tie to the launcher. `descriptor` hangs up when the launcher is gone."""

    def __init__(self, launcher: int, descriptor: int) -> None:
        self._launcher = launcher
        self.descriptor = descriptor

    def let_go(self) -> None:
        """Leave the terminal's session and send the launcher home."""
        leave_session()
        if os.getppid() == self._launcher:
            os.kill(self._launcher, signal.SIGUSR1)


def leave_session() -> None:
    """No terminal can signal this process any more. A session's leader stays: it has been left by its terminal."""
    with contextlib.suppress(PermissionError):
        os.setsid()


def launch(work: Callable[[Tether], int]) -> int:
    """Run `work` in a child; return, in the child its result, in the launcher the child's exit status or `DETACHED`.

    Call it before any thread exists, and after `outlive_hang_ups`. In the child SIGTERM is blocked at first. A child
    that dies of a signal takes the launcher along, by the same signal, once the terminal is as it was.
    """
    settings = _settings()
    sys.stdout.flush()
    sys.stderr.flush()
    ours, theirs = os.pipe()
    signal.signal(signal.SIGUSR1, _let_go)
    launcher, child = os.getpid(), os.fork()
    if child == 0:
        signal.signal(signal.SIGUSR1, signal.SIG_DFL)
        # It waits until somebody can deal with it (`TerminalWatch`); it would leave half a run's folder behind.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        os.close(theirs)
        return work(Tether(launcher, ours))
    os.close(ours)
    try:
        return _status(_wait(child), settings)
    except LetGo:
        return DETACHED


def _wait(child: int) -> int:
    """Wait for the child's end; return the status as `os.waitpid` has it."""

    def hand_on(number: int, _: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, hand_on)
    # The child decides what they mean; the launcher must outlast them to hand the exit status on.
    for number in (signal.SIGTSTP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    return os.waitpid(child, 0)[1]


def _let_go(*_: object) -> NoReturn:
    raise LetGo


def _settings() -> list[Any] | None:
    """The terminal's line settings; None when it has gone already."""
    try:
        return termios.tcgetattr(0)
    except termios.error:
        return None


def _status(waited: int, settings: list[Any] | None) -> int:
    """The exit status to end with; does not return where the child died of a signal."""
    if not os.WIFSIGNALED(waited):
        return os.waitstatus_to_exitcode(waited)
    number = os.WTERMSIG(waited)
    if number != signal.SIGINT:  # a second Ctrl-C, after the screen was closed: the person knows
        _restore(settings)
        name = signal.Signals(number).name
        why = "; the kernel does that when memory is short" if number == signal.SIGKILL else ""
        say(f"bsmon: the training was killed by {name}{why}. --resume goes on from its last checkpoint.")
    if number != signal.SIGKILL:
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    return 128 + number  # where that signal does not end a process


def _restore(settings: list[Any] | None) -> None:
    """Put the terminal back as it was, for a child that could not."""
    with contextlib.suppress(OSError, termios.error):
        if settings is not None and os.tcgetpgrp(0) == os.getpgrp():
            os.write(1, _RESTORE)
            termios.tcsetattr(0, termios.TCSANOW, settings)
