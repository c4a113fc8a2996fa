"""Checkpoint files that survive a crash, a full disk and flipped bits.

Saving: a temporary file in the same directory, fsync, read back and compared by SHA-256, renamed, the directory
fsynced, the manifest last; only then is an older checkpoint deleted. torch.load accepts nearly every flipped bit, so
the hash is what detects damage. A file's name carries the first 16 hex digits of its hash: a lost or garbled manifest
costs nothing but the rest of the digits. Loading is `weights_only=True`, always: no file can run code.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
import time
from collections.abc import Mapping
from dataclasses import dataclass
from io import BufferedReader, BufferedWriter
from pathlib import Path

import torch

from bsmon.core.errors import BadInput
from bsmon.core.files import (
    PRIVATE_DIRECTORY,
    TEMPORARY_PREFIX,
    TEMPORARY_SUFFIX,
    create_temporary,
    sync_directory,
    write_atomically,
)
from bsmon.core.text import clean
from bsmon.engine.checkpoint_names import Entry, entries, manifest_bytes, parse_manifest
from bsmon.engine.plain_state import find_unplain

_MANIFEST = "manifest.json"
_LARGEST_MANIFEST = 1 << 20


class CheckpointFailed(RuntimeError):
    """A checkpoint could not be written; the message is one sentence. The older ones still load."""


@dataclass(frozen=True, slots=True)
class Saved:
    """A checkpoint that was written and read back. `seconds`: from the call of `save` to its return."""

    path: Path
    step: int
    size_bytes: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Loaded:
    """A checkpoint that was read. `skipped`: what is newer but unusable, "file name: reason" each."""

    state: dict[str, object]
    step: int
    path: Path
    skipped: tuple[str, ...] = ()


class _Unusable(Exception):
    """Why a checkpoint cannot be used."""


class _HashingFile:
    """Hashes what torch.save writes, in passing, and keeps the error that torch replaces by its own."""

    def __init__(self, file: BufferedWriter) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self.size_bytes = 0
        self.error: OSError | None = None

    def write(self, data: bytes | memoryview) -> int:
        try:
            self._file.write(data)
        except OSError as error:
            self.error = error
            raise
        self._hash.update(data)
        self.size_bytes += len(data)
        return len(data)

    def flush(self) -> None:
        self._file.flush()

    def hexdigest(self) -> str:
        return self._hash.hexdigest()


class CheckpointStore:
    """The checkpoints of one run, `keep` of them. One writer; any number of readers, at any time."""

    def __init__(self, directory: Path, keep: int = 2) -> None:
        self.directory = directory
        self._keep = keep
        self._damaged: set[str] = set()

    def save(self, state: Mapping[str, object], step: int) -> Saved:
        """Write `state` and verify it; on return it outlasts a power cut.

        `state` must not change meanwhile: hand over a copy (`snapshot_state`) when another thread saves.

        Raises:
            CheckpointFailed: Nothing was lost: the temporary file is gone and the older checkpoints still load.
        """
        started = time.perf_counter()
        unplain = find_unplain(dict(state))
        if unplain is not None:
            raise CheckpointFailed(f"The checkpoint of step {step} was not written: {unplain}.")
        try:
            self.directory.mkdir(mode=PRIVATE_DIRECTORY, exist_ok=True)
            self._remove_leftovers()
            entry, size_bytes = self._write(dict(state), step)
            self._commit(entry)
        except (OSError, MemoryError, RuntimeError) as error:
            raise CheckpointFailed(f"The checkpoint of step {step} was not written: {_sentence(error)}.") from error
        return Saved(self.directory / entry.name, step, size_bytes, time.perf_counter() - started)

    def load(self) -> Loaded:
        """Read the newest checkpoint that is whole, into CPU memory.

        Raises:
            BadInput: There is none; the message says what was tried and why it was no use.
        """
        listed, reason = self._manifest()
        skipped = [f"{_MANIFEST}: {reason}"] if reason else []
        for entry in reversed(self._entries(listed)):
            try:
                state = _read(self.directory / entry.name, entry.digest)
            except _Unusable as unusable:
                skipped.append(f"{entry.name}: {unusable}")
                self._damaged.add(entry.name)
                continue
            return Loaded(state, entry.step, self.directory / entry.name, tuple(skipped))
        tried = f" ({'; '.join(skipped)})" if skipped else ""
        raise BadInput(f"No usable checkpoint in {clean(str(self.directory))}{tried}.")

    def steps(self) -> tuple[int, ...]:
        """Steps of the checkpoints that are there, oldest first; not verified."""
        return tuple(entry.step for entry in self._entries(self._manifest()[0]))

    def _write(self, state: dict[str, object], step: int) -> tuple[Entry, int]:
        """Write, sync, verify, rename. The new name appears only once all its bytes are on the disk."""
        descriptor, temporary = create_temporary(self.directory)
        try:
            with os.fdopen(descriptor, "wb") as file:
                hashing = _HashingFile(file)
                _torch_save(state, hashing)
                file.flush()
                os.fsync(file.fileno())
            if _file_digest(temporary) != hashing.hexdigest():
                raise OSError(errno.EIO, "the disk gave back other bytes than were written")
            entry = Entry.new(self._next_number(), step, hashing.hexdigest())
            temporary.replace(self.directory / entry.name)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_directory(self.directory)
        return entry, hashing.size_bytes

    def _commit(self, new: Entry) -> None:
        """List what is kept in the manifest, then delete the rest, known damaged ones first."""
        listed = {**self._manifest()[0], new.name: new.digest}
        present = self._entries(listed)
        good = [entry for entry in present if entry.name not in self._damaged]
        kept = good[-self._keep :]
        write_atomically(self.directory / _MANIFEST, manifest_bytes(kept))
        for entry in present:
            if entry not in kept:
                with contextlib.suppress(OSError):  # the new checkpoint is safe; the next save tries again
                    (self.directory / entry.name).unlink(missing_ok=True)

    def _entries(self, listed: Mapping[str, str]) -> list[Entry]:
        try:
            names = [path.name for path in self.directory.iterdir()]
        except FileNotFoundError:
            names = []
        return entries(names, listed)

    def _next_number(self) -> int:
        return max((entry.number for entry in self._entries({})), default=0) + 1

    def _manifest(self) -> tuple[dict[str, str], str]:
        """Return name -> SHA-256 of the manifest and, when it is of no use, ({}, the reason)."""
        try:
            with _open_plain(self.directory / _MANIFEST) as file:
                return parse_manifest(file.read(_LARGEST_MANIFEST)), ""
        except FileNotFoundError:
            return {}, "missing" if self._entries({}) else ""
        except (OSError, _Unusable, ValueError) as error:
            return {}, _sentence(error)

    def _remove_leftovers(self) -> None:
        """Delete temporary files of a process that was killed while it saved."""
        for path in self.directory.glob(f"{TEMPORARY_PREFIX}*{TEMPORARY_SUFFIX}"):
            path.unlink(missing_ok=True)


def _torch_save(state: dict[str, object], file: _HashingFile) -> None:
    try:
        torch.save(state, file)  # type: ignore[arg-type]  # torch asks for IO[bytes] but only writes and flushes
    except RuntimeError as error:
        # A full disk comes as "unexpected pos" from torch's zip writer; the true reason is the one kept.
        raise (file.error or error) from error


def _open_plain(path: Path) -> BufferedReader:
    """Open a regular file for reading; a link, a device or a pipe that was put in its place is refused."""
    # O_NONBLOCK: opening a pipe that nobody writes to would wait for ever.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _Unusable("not a regular file")
    return os.fdopen(descriptor, "rb")


def _file_digest(path: Path) -> str:
    """SHA-256 of a file just written, read from the disk rather than from memory where the system allows."""
    with _open_plain(path) as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read(path: Path, digest: str) -> dict[str, object]:
    """Read a checkpoint whose SHA-256 begins with `digest`; both passes go over one open file.

    Raises:
        _Unusable: With the reason.
    """
    try:
        with _open_plain(path) as file:
            if not hashlib.file_digest(file, "sha256").hexdigest().startswith(digest):
                raise _Unusable("damaged: its SHA-256 is not the one that was saved")
            file.seek(0)
            state = torch.load(file, map_location="cpu", weights_only=True)
    except OSError as error:
        raise _Unusable(_sentence(error)) from error
    except _Unusable:
        raise
    except Exception as error:  # noqa: BLE001 - a file made to deceive can make the reader raise anything
        raise _Unusable(f"holds more than plain values and tensors ({type(error).__name__})") from None
    if not isinstance(state, dict):
        raise _Unusable("holds no state")
    return state


def _sentence(error: BaseException) -> str:
    """Say in a few words what went wrong, without the path (the reader knows which file it is about)."""
    if isinstance(error, OSError) and error.errno is not None:
        known = {errno.ENOSPC: "the disk is full", errno.EDQUOT: "the disk quota is used up"}
        known |= {errno.EFBIG: "the file is larger than this system allows", errno.ELOOP: "is a symbolic link"}
        return known.get(error.errno, error.strerror or "the disk reported an error")
    if isinstance(error, MemoryError):
        return "there is not enough memory"
    return str(error).splitlines()[0] if str(error) else type(error).__name__
