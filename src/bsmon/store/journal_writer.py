"""Writes the journal: one writer appends whole lines; a full disk costs lines, never the training."""

from __future__ import annotations

import contextlib
import os
import stat
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import bsmon
from bsmon.core.files import PRIVATE_FILE
from bsmon.core.happenings import Happening, Moment, StepsMade
from bsmon.store.journal_format import Packer
from bsmon.store.journal_steps import encode_steps

SYNC_EVERY_S = 3.0
_RETRY_EVERY_S = 1.0
_MOST_WAITING = 4 << 20  # bytes kept for a disk that may have room again
_PATIENCE_S = 5.0  # at the end, for a file server that hangs


class JournalWriter:
    """Appends to one journal. All methods but `sync`'s thread belong to one thread; none raises for the disk's sake.

    What a crash of the machine can cost is SYNC_EVERY_S seconds; what a killed process can cost is what it had not
    handed over yet.
    """

    def __init__(self, path: Path, began: Moment, run: str) -> None:
        self._path = path
        self._began, self._run = began, run
        self._packer = Packer()
        self._waiting: list[bytes] = []  # whole lines, oldest first
        self._waiting_bytes = 0
        self._mid_line = False
        self._retry_at = 0.0
        self._problem = ""
        self._news: list[str] = []
        self._lost = 0
        self._descriptor = -1
        self._dirty = threading.Event()
        self._ending = threading.Event()
        self._syncer = threading.Thread(target=self._sync, name="bsmon-journal", daemon=True)
        self._begin(began.time_s)
        try:
            self._open()
        except OSError as error:
            self._fails(error)
        self._syncer.start()

    def write(self, time_s: float, happenings: Sequence[Happening]) -> None:
        """Append these, in order. Returns at once unless the file system is slow."""
        for happening in happenings:
            try:
                for line in self._lines(time_s, happening):
                    self._put(line)
            except (TypeError, ValueError, ArithmeticError) as error:
                # A number too large for JSON, say: one entry less is better than no journal.
                self._news.append(f"an entry of the journal cannot be written: {type(happening).__name__}: {error}")
        self._flush()
        self._limit_waiting(time_s)

    def news(self) -> list[str]:
        """Sentences about the journal that a person should be told, each once."""
        told, self._news = self._news, []
        return told

    def close(self) -> None:
        """Write what is left and make it last."""
        self._retry_at = 0.0
        self._flush()
        self._ending.set()
        self._dirty.set()
        self._syncer.join(_PATIENCE_S)
        if not self._syncer.is_alive() and self._descriptor >= 0:
            with contextlib.suppress(OSError):  # nothing is left to be done about it
                os.close(self._descriptor)
            self._descriptor = -1

    def _begin(self, time_s: float) -> None:
        """Open a part of the file: what follows refers to nothing before it."""
        self._packer = Packer()
        # What the clock showed when the time was 0, so that every line's time can be told from its seconds.
        clock = round(self._began.clock - self._began.time_s, 3)
        self._put(self._packer.head(time_s, {"bsmon": bsmon.__version__, "clock": clock, "run": self._run}))

    def _put(self, line: bytes) -> None:
        self._waiting.append(line)
        self._waiting_bytes += len(line)

    def _lines(self, time_s: float, happening: Happening) -> list[bytes]:
        if isinstance(happening, StepsMade):
            return [encode_steps(time_s, happening.records)]
        return self._packer.lines(time_s, happening)

    def _limit_waiting(self, time_s: float) -> None:
        """A disk without room must not cost memory without end."""
        if self._waiting_bytes > _MOST_WAITING:
            self._lost += len(self._waiting)
            self._waiting.clear()
            self._waiting_bytes = 0
            self._begin(time_s)

    def _open(self) -> None:
        # Neither through a link nor into a pipe that somebody put there. O_APPEND: also right after a resume.
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        self._descriptor = os.open(self._path, flags, PRIVATE_FILE)
        found = os.fstat(self._descriptor)
        if not stat.S_ISREG(found.st_mode):
            os.close(self._descriptor)
            self._descriptor = -1
            raise OSError(f"{self._path.name} is no regular file")
        if found.st_size:
            self._mid_line = os.pread(self._descriptor, 1, found.st_size - 1) != b"\n"

    def _flush(self) -> None:
        if not self._waiting or time.monotonic() < self._retry_at:
            return
        try:
            if self._descriptor < 0:
                self._open()
            self._append()
        except OSError as error:
            self._fails(error)
        else:
            self._recovered()
        self._dirty.set()

    def _append(self) -> None:
        """Write all waiting lines; a line that was cut short is written again, on a line of its own.

        Raises OSError when nothing more can be written.
        """
        while self._waiting:
            data = (b"\n" if self._mid_line else b"") + b"".join(self._waiting)
            written = os.write(self._descriptor, data)
            # A full disk gives a short count first, and only the next call an error.
            self._drop_written(written - int(self._mid_line))
            if written:
                self._mid_line = data[written - 1 : written] != b"\n"

    def _drop_written(self, count: int) -> None:
        done = 0
        for line in self._waiting:
            if count < len(line):
                break
            count -= len(line)
            self._waiting_bytes -= len(line)
            done += 1
        del self._waiting[:done]

    def _fails(self, error: OSError) -> None:
        self._retry_at = time.monotonic() + _RETRY_EVERY_S
        if not self._problem:
            self._problem = error.strerror or str(error)
            self._news.append(f"the journal cannot be written: {self._problem}; training goes on")

    def _recovered(self) -> None:
        if self._problem:
            lost = f"; {self._lost:,} entries are lost" if self._lost else ", nothing is lost"
            self._news.append(f"the journal is written again{lost}")
            self._problem, self._lost = "", 0

    def _sync(self) -> None:
        """On a thread of its own: a file server may take seconds to answer."""
        while not self._ending.is_set():
            self._ending.wait(SYNC_EVERY_S)
            if self._dirty.is_set() and self._descriptor >= 0:
                self._dirty.clear()
                # A failed write shows again at the next one, which tells the person.
                with contextlib.suppress(OSError):
                    os.fsync(self._descriptor)
