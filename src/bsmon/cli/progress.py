"""A line of progress on stderr that is written over, for commands that take seconds to minutes."""

from __future__ import annotations

import shutil
import sys
import time
from types import TracebackType

_EVERY_S = 0.2


class Progress:
    """Shows the last text it was told, at most five times a second; silent where stderr is no terminal."""

    def __init__(self) -> None:
        self._is_on = sys.stderr.isatty()
        self._shown_at = 0.0

    def tell(self, text: str) -> None:
        """`text` must be safe for a terminal."""
        now = time.monotonic()
        if self._is_on and now - self._shown_at >= _EVERY_S:
            self._shown_at = now
            self._write(text)

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._is_on:
            self._write("")
            sys.stderr.write("\r")
            sys.stderr.flush()

    def _write(self, text: str) -> None:
        width = shutil.get_terminal_size().columns - 1
        sys.stderr.write(f"\r{text[:width]:{width}}")
        sys.stderr.flush()
