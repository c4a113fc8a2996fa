"""Textual's Linux driver for a terminal that may go at any time, be left in the background and come back."""

from __future__ import annotations

import os
import queue
import select
import signal
import threading
from typing import IO

from textual.app import App
from textual.drivers import linux_driver
from textual.drivers._writer_thread import WriterThread
from textual.drivers.linux_driver import LinuxDriver

_JOIN_S = 0.2
_GONE = select.POLLHUP | select.POLLERR | select.POLLNVAL


class PatientWriter(WriterThread):
    """Writes to a terminal that may be gone or stalled, and never takes the program down with it.

    It writes with `os.write`, not through the file: a write that blocks would else hold the file's lock, and the
    interpreter could not end.
    """

    def __init__(self, file: IO[str]) -> None:
        super().__init__(file)
        self._given_up = threading.Event()

    def write(self, text: str) -> None:
        """Queue text; waits while the terminal is behind, until it is given up."""
        if not self._given_up.is_set():
            self._queue.put(text)

    def give_up(self) -> None:
        """Drop what waits and all that comes, and let go whoever waits in `write`. From any thread but a handler."""
        self._given_up.set()
        while not self._queue.empty():
            try:
                self._queue.get_nowait()
            except queue.Empty:
                break

    def run(self) -> None:
        """Write until told to stop; after an error go on emptying the queue."""
        while (text := self._queue.get()) is not None:
            if self._given_up.is_set():
                continue
            try:
                self._write_all(text.encode("utf-8", "replace"))
            except OSError:  # EIO: the other side has closed
                self.give_up()

    def stop(self) -> None:
        """End the thread. A write that hangs in a given-up terminal is left behind: the thread is a daemon."""
        self._queue.put(None)
        while self.is_alive() and not self._given_up.is_set():
            self.join(_JOIN_S)
        self.join(_JOIN_S)

    def _write_all(self, data: bytes) -> None:
        descriptor = self._file.fileno()
        while data and not self._given_up.is_set():
            data = data[os.write(descriptor, data) :]


# LinuxDriver makes its writer by this name; overriding the 90 lines around it would be worse.
linux_driver.WriterThread = PatientWriter  # type: ignore[attr-defined]  # imported there, not exported


class DetachableDriver(LinuxDriver):
    """Draws while this program is in the terminal's foreground; stays silent behind other programs and after the end.

    `mark_lost` may be called from a signal handler; `give_up` must follow on a thread.
    """

    def __init__(
        self, app: App[object], *, debug: bool = False, mouse: bool = True, size: tuple[int, int] | None = None
    ) -> None:
        super().__init__(app, debug=debug, mouse=mouse, size=size)
        self._is_lost = False
        self._is_shown = False

    def mark_lost(self) -> None:
        """From now on nothing is drawn, and nothing starts drawing."""
        self._is_lost = True

    def give_up(self) -> None:
        """Let go of whoever waits for the terminal. Not from a signal handler: it takes locks."""
        self._is_lost = True
        if isinstance(self._writer_thread, PatientWriter):
            self._writer_thread.give_up()

    def write(self, data: str) -> None:
        """Send data to the terminal, if it is ours now."""
        if self._is_shown and not self._is_lost:
            super().write(data)

    def start_application_mode(self) -> None:
        """Take the terminal; a program in the background leaves it alone and runs on."""
        if self._is_lost or not self.in_foreground():
            return
        self._is_shown = True
        super().start_application_mode()  # type: ignore[no-untyped-call]  # textual's

    def stop_application_mode(self) -> None:
        """Give the terminal back as it was."""
        super().stop_application_mode()
        self._is_shown = False

    def return_to_foreground(self) -> None:
        """Draw again once the shell has given the terminal back: `fg` on a running job sends no signal."""
        if not self._is_shown and not self._is_lost and self.in_foreground():
            self._must_signal_resume = True
            self.resume_application_mode()

    @property
    def is_stalled(self) -> bool:
        """Whether the terminal takes nothing at the moment, or is gone."""
        return self._file is None or not takes_output(self._file.fileno())

    def in_foreground(self) -> bool:
        """Whether the terminal's input is for this program's process group."""
        try:
            return os.tcgetpgrp(self.fileno) == os.getpgrp()
        except OSError:  # not our controlling terminal: no shell shares it
            return True

    @property
    def can_suspend(self) -> bool:
        """Whether there is a shell with job control to come back from: its jobs have process groups of their own."""
        return os.getpgrp() != os.getsid(0)

    def _sigtstp_application(self, *_: object) -> None:
        """Stop the whole job, the launcher included: it is the process that the shell knows."""
        if not self.can_suspend:
            return
        if self._is_shown:
            self.suspend_application_mode()
        os.killpg(0, signal.SIGSTOP)

    def _sigcont_application(self, *_: object) -> None:
        """Go on. The kernel sends this after a hang-up, too, when there is no terminal to go on with."""
        if self._is_lost or hung_up(self.fileno):
            return
        if self._is_shown:  # it was stopped without a chance to tidy up
            self.suspend_application_mode()
        self.return_to_foreground()

    def _run_input_thread(self) -> None:
        try:
            self.run_input_thread()
        except OSError:  # EIO: the terminal is gone; whoever watches for that will say so
            self.mark_lost()


def hung_up(descriptor: int) -> bool:
    """Whether the other end of a terminal has been closed."""
    return bool(_state(descriptor) & _GONE)


def takes_output(descriptor: int) -> bool:
    """Whether a terminal would take a byte now; one whose other end does not read is full before long."""
    state = _state(descriptor)
    return bool(state & select.POLLOUT) and not state & _GONE


def _state(descriptor: int) -> int:
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    return sum(what for _, what in poll.poll(0))
