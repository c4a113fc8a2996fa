"""Small files that are whole or not there at all, whenever the power goes."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

PRIVATE_FILE = 0o600
PRIVATE_DIRECTORY = 0o700
TEMPORARY_PREFIX, TEMPORARY_SUFFIX = ".saving-", ".tmp"


def create_temporary(directory: Path) -> tuple[int, Path]:
    """Open a new file of this user alone in `directory`; its descriptor and path.

    It lies beside its final place because only a rename within one file system is atomic. O_EXCL and O_NOFOLLOW: a
    file or link that somebody put there is never written through.

    Raises:
        OSError: The directory is missing, read-only, or not this user's to write.
    """
    path = directory / f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}{TEMPORARY_SUFFIX}"
    flags = os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_WRONLY
    return os.open(path, flags, PRIVATE_FILE), path


def open_regular(path: Path) -> int:
    """Open a regular file of its own name for reading: no link that leads elsewhere, no pipe that never answers.

    Raises:
        OSError: It cannot be opened, is a link (ELOOP) or no regular file.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError("it is no regular file")
    return descriptor


def sync_directory(directory: Path) -> None:
    """Make the names in `directory` last: a renamed file may else be gone after a power cut."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_atomically(path: Path, data: bytes) -> None:
    """Replace `path` by `data`: readers see the old bytes or the new ones, never a mixture. Mode 0600.

    Raises:
        OSError: Nothing was changed, the temporary file is gone.
    """
    descriptor, temporary = create_temporary(path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)
