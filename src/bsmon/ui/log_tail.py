"""The end of a run's log file, read on a thread of its own: a file server that hangs must not hold up the screen."""

from __future__ import annotations

import threading
from pathlib import Path

from bsmon.core.text import clean

_TAIL_BYTES = 64 * 1024
_EVERY_S = 1.0
_TAB = 4


def read_tail(path: Path) -> tuple[str, ...]:
    """The last lines of the file, safe to show; a first line that was cut is left out. Raises OSError.

    Of what a progress bar overwrote with carriage returns, the last state of each line stays.
    """
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - _TAIL_BYTES))
        data = file.read(_TAIL_BYTES)
    lines = data.decode("utf-8", "replace").split("\n")
    if size > _TAIL_BYTES:
        lines = lines[1:]
    if lines and not lines[-1]:
        lines.pop()
    return tuple(clean(_overwritten(line).expandtabs(_TAB)) for line in lines)


def _overwritten(line: str) -> str:
    return line.rstrip("\r").rpartition("\r")[2]


class LogTail:
    """Follows a file once a second while it is open. `lines` is what it held last, `problem` why it cannot be read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: tuple[str, ...] = ()
        self.problem = ""
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="bsmon-log", daemon=True)

    def open(self) -> None:
        """Begin to read."""
        self._thread.start()

    def close(self) -> None:
        """Read no more; returns at once."""
        self._closed.set()

    def look(self) -> None:
        """Read once."""
        try:
            self.lines, self.problem = read_tail(self.path), ""
        except OSError as error:
            self.problem = f"{clean(str(self.path))} cannot be read: {error.strerror or type(error).__name__}"

    def _follow(self) -> None:
        while True:
            self.look()
            if self._closed.wait(_EVERY_S):
                return
