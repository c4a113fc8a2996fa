"""Reads a journal that may still grow: whole lines only, and whatever cannot be read is counted and passed over."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from bsmon.core.errors import BadInput
from bsmon.core.files import open_regular
from bsmon.core.happenings import Happening, Measured, Moment, StepsMade
from bsmon.core.text import clean
from bsmon.store.journal_format import (
    DEFINITION,
    FORMAT,
    HEAD,
    MEASUREMENTS,
    MOST_DEFINITIONS,
    WHOLE,
    Plain,
    restored,
)
from bsmon.store.journal_steps import PREFIX as STEPS_PREFIX
from bsmon.store.journal_steps import decode_steps

_CHUNK = 1 << 20
_LONGEST_LINE = 16 << 20
_MOST_SECONDS = 1e10  # three centuries
_MARK = b'"$'

_decode = msgspec.json.Decoder(list).decode


class Entry(NamedTuple):
    """One happening, when it was noted, and where in the file the line after it begins."""

    moment: Moment
    happening: Happening
    end: int


class JournalReader:
    """Reads on from where it stopped. Several readers of one file do not know of each other."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.offset = 0  # of the first byte that was not read as part of a whole line
        self.damaged = 0  # lines that could not be read
        self.clock = 0.0  # seconds since 1970 when the run's time was 0
        self._definitions: dict[int, Plain] = {}
        self._skipping = False  # within a line that is too long to be one

    def read(self) -> Iterator[Entry]:
        """What was written since the last call, up to the last line end; nothing while the file is not there.

        Raises BadInput where the file cannot be read, or is of a later format.
        """
        try:
            descriptor = open_regular(self._path)
        except FileNotFoundError:
            return
        except OSError as error:
            raise BadInput(f"{clean(str(self._path))} cannot be read: {error.strerror or error}.") from error
        try:
            yield from self._entries(descriptor)
        finally:
            os.close(descriptor)

    def copy(self) -> JournalReader:
        """Another reader at the same place."""
        other = copy.copy(self)
        other._definitions = self._definitions.copy()
        return other

    def _entries(self, descriptor: int) -> Iterator[Entry]:
        for line in self._lines(descriptor):
            entry = self.parse(line)
            if entry is not None:
                yield entry

    def _lines(self, descriptor: int) -> Iterator[bytes]:
        size = _CHUNK
        while chunk := os.pread(descriptor, size, self.offset):
            if b"\n" not in chunk:
                if size < _LONGEST_LINE and len(chunk) == size:
                    size *= 2  # a long line: look at more of it
                    continue
                if len(chunk) < size:
                    return  # a line that is still being written
                self.offset += len(chunk)
                self._skipping = True
                continue
            size = _CHUNK
            for line in chunk[: chunk.rindex(b"\n")].split(b"\n"):
                self.offset += len(line) + 1
                if self._skipping:
                    self._skipping = False
                    self.damaged += 1
                elif line:
                    yield line

    def parse(self, line: bytes) -> Entry | None:
        """What a line says; None for a line that says nothing of the run, or is damaged."""
        try:
            if line.startswith(STEPS_PREFIX):
                time_s, steps = decode_steps(line)
                return Entry(Moment(time_s, self.clock + time_s), StepsMade(steps), self.offset)
            return self._rare(_decode(line), marked=_MARK in line)
        except BadInput:
            raise
        except (ValueError, TypeError, LookupError, ArithmeticError, RecursionError):
            # Torn by a crash, overwritten, or of a version that said more: the rest of the file is still good.
            self.damaged += 1
            return None

    def _rare(self, line: list[Plain], *, marked: bool) -> Entry | None:
        """`marked`: it may hold references or numbers that JSON has not; most lines do not, and looking takes time."""
        kind, time_s, *rest = line
        if not isinstance(kind, str) or not isinstance(time_s, int | float) or not 0 <= time_s < _MOST_SECONDS:
            raise ValueError("no line of a journal")
        if kind == HEAD:
            self._begin(rest[0])
            return None
        if kind == DEFINITION:
            self._define(*rest)
            return None
        fields = restored(rest[0], self._definitions) if marked else rest[0]
        happening: Happening
        if kind in MEASUREMENTS:
            happening = Measured(msgspec.convert(fields, MEASUREMENTS[kind]))
        else:
            happening = msgspec.convert(fields, WHOLE[kind])
        return Entry(Moment(time_s, self.clock + time_s), happening, self.offset)

    def _begin(self, head: Plain) -> None:
        version = head["format"] if isinstance(head, dict) else None
        if not isinstance(version, int):
            raise TypeError("no head")
        if version > FORMAT:
            raise BadInput(f"{clean(str(self._path))} was written by a later version of bsmon.")
        clock = head.get("clock") if isinstance(head, dict) else None
        self.clock = clock if isinstance(clock, int | float) else self.clock
        self._definitions = {}

    def _define(self, number: Plain, value: Plain) -> None:
        if not isinstance(number, int) or not 0 <= number < MOST_DEFINITIONS:
            raise ValueError("no definition")
        self._definitions[number] = value
