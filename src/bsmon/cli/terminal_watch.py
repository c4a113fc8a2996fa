"""Notices that the terminal has gone, or that somebody asks for the end, whatever the main thread is busy with."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import threading
from types import TracebackType
from typing import Protocol, Self

_HUNG_UP, _TERMINATE, _STOP = b"h", b"t", b"s"
_GONE = select.POLLHUP | select.POLLERR | select.POLLNVAL


class Reaction(Protocol):
    """What to do then. All but `mark_lost` are called on the watching thread."""

    def mark_lost(self) -> None:
        """Within a signal handler: no locks, no waiting. The kernel sends SIGCONT right after SIGHUP."""

    def lost(self, how: str) -> None:
        """The terminal is gone; `how` says in a few words what was seen."""

    def terminate(self) -> None:
        """SIGTERM or SIGINT: save and end."""


class TerminalWatch:
    """A thread that sleeps in poll(2); a context manager that puts the signal handlers back.

    A signal handler runs on the main thread between any two instructions, under whatever locks that holds. So the
    handlers only write a byte to a pipe, and the thread does the rest. It also sees what sends no signal at all: a
    terminal that closes while SIGHUP is blocked or meant for another process, and a launcher that was killed.
    """

    def __init__(self, terminal: int, launcher: int, reaction: Reaction) -> None:
        """`terminal`: a descriptor of it; `launcher`: one that hangs up when the launcher is gone."""
        self._terminal = os.dup(terminal)
        self._launcher = launcher
        self._reaction = reaction
        self._ours, self._theirs = os.pipe()
        os.set_blocking(self._theirs, False)
        self._thread = threading.Thread(target=self._watch, name="bsmon-terminal", daemon=True)
        self._former: dict[int, signal._HANDLER] = {}

    def __enter__(self) -> Self:
        """Watch from now on."""
        for number, handler in (
            (signal.SIGHUP, self._on_hang_up),
            (signal.SIGTERM, self._on_terminate),
            (signal.SIGINT, self._on_terminate),
        ):
            self._former[number] = signal.signal(number, handler)
        self._thread.start()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})  # `launch` has blocked it
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop watching."""
        for number, handler in self._former.items():
            signal.signal(number, handler)
        self._tell(_STOP)
        self._thread.join()
        for descriptor in (self._ours, self._theirs):
            os.close(descriptor)

    def _on_hang_up(self, *_: object) -> None:
        self._reaction.mark_lost()
        self._tell(_HUNG_UP)

    def _on_terminate(self, *_: object) -> None:
        self._tell(_TERMINATE)

    def _tell(self, what: bytes) -> None:
        with contextlib.suppress(BlockingIOError):  # thousands wait already: one more says nothing new
            os.write(self._theirs, what)

    def _watch(self) -> None:
        poll = select.poll()
        poll.register(self._ours, select.POLLIN)
        for descriptor in (self._terminal, self._launcher):
            poll.register(descriptor, 0)
        try:
            while self._react(dict(poll.poll())):
                pass
        finally:
            os.close(self._terminal)

    def _react(self, seen: dict[int, int]) -> bool:
        """Do what was asked for; False when there is nothing left to watch."""
        asked = os.read(self._ours, 4096) if self._ours in seen else b""
        if _STOP in asked:
            return False
        if _HUNG_UP in asked:
            self._reaction.lost("hang-up")
        elif seen.get(self._terminal, 0) & _GONE:
            self._reaction.lost("the terminal was closed")
        elif seen.get(self._launcher, 0) & _GONE:
            self._reaction.lost("the process that the shell waited for was killed")
        elif _TERMINATE in asked:
            self._reaction.terminate()
            return True
        self._wait_for_stop()
        return False

    def _wait_for_stop(self) -> None:
        """After the loss there is nothing to notice but the end, and nobody to hear of a SIGTERM but `terminate`."""
        while _STOP not in (asked := os.read(self._ours, 4096)):
            if _TERMINATE in asked:
                self._reaction.terminate()
