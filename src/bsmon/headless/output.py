"""Lines to a stream that may refuse them: a closed pipe or a full disk must not end a training."""

from __future__ import annotations

import contextlib
import errno
import io
import os
from typing import TextIO


class LineOutput:
    """Writes whole lines and never raises for what is wrong with the other end."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._encoding = out.encoding or "utf-8"
        self.closed = False
        """Nobody reads any more; all further lines are dropped."""

    def line(self, text: str) -> None:
        """Write `text` and a line end at once. What the stream's encoding lacks becomes a backslash escape."""
        if self.closed:
            return
        text = text.encode(self._encoding, "backslashreplace").decode(self._encoding)
        try:
            self._out.write(text + "\n")
            self._out.flush()
        except OSError as error:
            # A full disk may have room again by the next line; a reader that went away does not come back.
            if error.errno in (errno.EPIPE, errno.EIO, errno.EBADF):
                self._give_up()

    def _give_up(self) -> None:
        self.closed = True
        with contextlib.suppress(OSError, io.UnsupportedOperation):
            # What is still in the buffer would raise again when the interpreter flushes it at exit.
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._out.fileno())
            os.close(nowhere)
