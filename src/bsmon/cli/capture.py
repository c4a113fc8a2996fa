"""Keeps whatever prints (the person's code, warnings, libraries on fd 2) off the screen: it goes to a file instead."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from io import TextIOWrapper


@contextlib.contextmanager
def captured(log: int) -> Iterator[None]:
    """Send file descriptors 1 and 2 to the open descriptor `log` until the end of the block.

    Redirecting `sys.stdout` alone would miss what C++ code writes. Textual draws through `sys.__stderr__` and asks
    `sys.__stdout__` for the terminal's size, so both are given a duplicate of the real terminal first.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    kept = (os.dup(1), os.dup(2))
    screen = _text(os.dup(kept[0]))
    real = (sys.__stdout__, sys.__stderr__)
    sys.__stdout__ = sys.__stderr__ = screen  # type: ignore[misc]  # Final in the stubs; textual reads these names
    os.dup2(log, 1)
    os.dup2(log, 2)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, original in zip((1, 2), kept, strict=True):
            os.dup2(original, number)
            os.close(original)
        sys.__stdout__, sys.__stderr__ = real  # type: ignore[misc]  # as above
        with contextlib.suppress(OSError):  # the terminal may be gone
            screen.close()


def _text(descriptor: int) -> TextIOWrapper:
    return open(descriptor, "w", encoding="utf-8", errors="replace")  # noqa: SIM115, PTH123  a descriptor, closed above
