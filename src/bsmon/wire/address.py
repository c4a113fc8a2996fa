"""Where a run's socket lies: a folder of this user alone, a short name, and nobody else at either end."""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import stat
import struct
from collections.abc import Mapping
from pathlib import Path

from bsmon.core.files import PRIVATE_DIRECTORY

LONGEST_PATH = 107
"""Bytes; the kernel's `sun_path` has 108 with the closing zero."""

_TEMPORARY = Path("/tmp")
_CONNECT_S = 1.0


class NoAddress(OSError):
    """There is no place for the socket, or none that is safe; the message says why."""


def socket_path(run_dir: Path, environment: Mapping[str, str]) -> Path:
    """The socket of the run in this folder, in $XDG_RUNTIME_DIR/bsmon or else /tmp/bsmon-<uid>, which is made.

    Raises:
        NoAddress: Neither folder can be used.
    """
    name = socket_name(run_dir)
    reasons = []
    for folder in _candidates(environment):
        try:
            private_folder(folder)
            return fitting(folder / name)
        except OSError as error:
            reasons.append(f"{folder}: {error.strerror or error}")
    raise NoAddress("; ".join(reasons))


def socket_name(run_dir: Path) -> str:
    """A short file name that tells runs apart by their folders."""
    return f"{hashlib.sha256(os.fsencode(run_dir.resolve())).hexdigest()[:16]}.sock"


def fitting(path: Path) -> Path:
    """The path itself. Raises NoAddress when it is too long for a socket."""
    length = len(os.fsencode(path))
    if length > LONGEST_PATH:
        raise NoAddress(f"its path has {length} bytes, a socket's at most {LONGEST_PATH}")
    return path


def private_folder(folder: Path) -> None:
    """Make the folder, or check that it is a real one of this user with nobody else's rights on it.

    Raises:
        NoAddress: It is a link, somebody else's, or open to others.
        OSError: It cannot be made.
    """
    _check_parent(folder.parent)
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=PRIVATE_DIRECTORY)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode):
        raise NoAddress("it is no folder (links are not followed)")
    if found.st_uid != os.geteuid():
        raise NoAddress("it belongs to another user")
    if stat.S_IMODE(found.st_mode) & 0o077:
        raise NoAddress("others may enter it")


def listen(path: Path) -> socket.socket:
    """Bind a listening socket, mode 0600; one that a dead process left behind is replaced.

    Raises:
        NoAddress: A living process answers there, or something lies there that is no socket.
        OSError: It cannot be made.
    """
    _clear(path)
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        server.bind(str(path))
        path.chmod(0o600)
        server.listen(64)
        server.setblocking(False)
    except OSError:
        server.close()
        raise
    return server


def connect(path: Path) -> socket.socket:
    """A connection to the run's process. Raises OSError, NoAddress when the other end is another user's."""
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        client.settimeout(_CONNECT_S)
        client.connect(str(path))
        if not is_same_user(client):
            raise NoAddress("a process of another user answers there")
        client.settimeout(None)
    except OSError:
        client.close()
        raise
    return client


def is_same_user(connection: socket.socket) -> bool:
    """Whether the process at the other end runs as this user, as the kernel says."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", credentials)[1]) == os.geteuid()


def _candidates(environment: Mapping[str, str]) -> list[Path]:
    runtime = environment.get("XDG_RUNTIME_DIR", "")
    own = [Path(runtime) / "bsmon"] if runtime.startswith("/") else []
    return [*own, _TEMPORARY / f"bsmon-{os.geteuid()}"]


def _check_parent(parent: Path) -> None:
    """Whoever may rename things in `parent` could put a folder of theirs in the place of ours, after the check."""
    found = parent.stat()
    if found.st_uid not in (0, os.geteuid()):
        raise NoAddress(f"{parent} belongs to another user")
    if found.st_mode & 0o022 and not found.st_mode & stat.S_ISVTX:
        raise NoAddress(f"others may rename what is in {parent}")


def _clear(path: Path) -> None:
    """Remove a socket that nobody listens on."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise NoAddress("something that is no socket lies there")
    try:
        connect(path).close()
    except (ConnectionRefusedError, FileNotFoundError):
        path.unlink(missing_ok=True)
        return
    except (TimeoutError, BlockingIOError):  # its queue is full: it lives
        pass
    raise NoAddress("another process serves this run")
