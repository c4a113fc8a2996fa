"""Keeps whatever prints (the person's code, warnings, libraries on fd 2) off the screen: it goes to a file instead."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from io import TextIOWrapper
from types import TracebackType
from typing import Self


class Capture:
    """Sends file descriptors 1 and 2 to a log until the end of the block, or for good once the terminal is abandoned.

    Redirecting `sys.stdout` alone would miss what C++ code writes. Textual draws through `sys.__stderr__` and asks
    `sys.__stdout__` for the terminal's size, so both are given a duplicate of the real terminal first.
    """

    def __init__(self, log: int) -> None:
        self._log = log
        self._abandoned = False
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        """Redirect."""
        sys.stdout.flush()
        sys.stderr.flush()
        self._kept = (os.dup(1), os.dup(2))
        self._screen = _text(os.dup(self._kept[0]))
        self._real = (sys.__stdout__, sys.__stderr__)
        sys.__stdout__ = sys.__stderr__ = self._screen  # type: ignore[misc]  # Final in the stubs; textual reads these
        os.dup2(self._log, 1)
        os.dup2(self._log, 2)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Put the terminal's descriptors back, unless it was abandoned."""
        with contextlib.suppress(OSError):  # the log's disk may be full
            sys.stdout.flush()
            sys.stderr.flush()
        with self._lock:
            for number, original in zip((1, 2), self._kept, strict=True):
                if not self._abandoned:
                    os.dup2(original, number)
                os.close(original)
            sys.__stdout__, sys.__stderr__ = self._real  # type: ignore[misc]  # as above
            with contextlib.suppress(OSError):  # the terminal may be gone
                self._screen.close()
            self._abandoned = True

    def say(self, text: str) -> None:
        """Write a line to the terminal itself."""
        with contextlib.suppress(OSError):
            os.write(self._kept[1], f"{text}\n".encode("utf-8", "replace"))

    def abandon(self) -> None:
        """Let go of the terminal for good: no descriptor of it stays open here, what prints goes on to the log.

        From any thread. Reading or writing a terminal that is gone fails or stops the process; /dev/null never does.
        """
        with self._lock:
            if self._abandoned:
                return
            self._abandoned = True
            nowhere = os.open(os.devnull, os.O_RDWR)
            for number in (0, *self._kept, self._screen.fileno()):
                os.dup2(nowhere, number)
            os.close(nowhere)


def _text(descriptor: int) -> TextIOWrapper:
    return open(descriptor, "w", encoding="utf-8", errors="replace")
