"""The run directory: everything that a run leaves behind, in one folder of this user alone.

    runs/<name>-<time>/
      config.toml     as given                  run.json     versions, host, git commit, status
      journal.jsonl   steps, samples, events    log.txt      everything that was printed
      checkpoints/

One process writes, any number read. `run.json` is replaced as a whole, so readers never see half of it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path

from bsmon.core.errors import BadInput
from bsmon.core.files import PRIVATE_DIRECTORY, open_regular, sync_directory, write_atomically
from bsmon.core.text import clean

FORMAT = 1
_RECORD = "run.json"
_LARGEST_FILE = 1 << 20
_LONGEST_NAME = 60
_MOST_AT_ONCE = 100  # runs of one name that start within the same second


class RunDir:
    """One run's folder. `path` is absolute, so that it stays right when the program changes its directory."""

    def __init__(self, path: Path, record: Mapping[str, object]) -> None:
        self.path = path.absolute()
        self._record = dict(record)

    @classmethod
    def create(
        cls,
        root: Path,
        name: str,
        now: datetime,
        *,
        config: bytes,
        about: Mapping[str, object],
        exact: Path | None = None,
    ) -> RunDir:
        """Make `root`/<name>-<time>, or the folder `exact`, with the config as given and a first run.json.

        `now`: the run's start; its local time is part of the folder's name and run.json has it with its UTC offset.
        `about`: plain values for run.json (`provenance.about_this_process`, torch's version, ...).

        Raises:
            BadInput: The folder cannot be made (disk full, read-only, ...) or holds something; nothing is left behind.
        """
        wanted = exact if exact is not None else root / f"{clean_name(name)}-{now:%Y%m%d-%H%M%S}"
        record = {
            "format": FORMAT,
            "name": name,
            "started": now.astimezone().isoformat(),
            "status": "starting",
            **about,
        }
        try:
            path, made = (_claim(exact), not exact.exists()) if exact is not None else (_unused(wanted), True)
            return _fill(cls(path, record), config, made)
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise BadInput(
                f"The run folder {clean(str(wanted))} cannot be made: {reason}. --run-dir FOLDER takes another place."
            ) from error

    @classmethod
    def open(cls, path: Path) -> RunDir:
        """Read the folder of a run that is there already.

        Raises:
            BadInput: `path` is no run folder, or its run.json cannot be read.
        """
        shown = clean(str(path))
        if not os.path.lexists(path / _RECORD):
            raise BadInput(f"{shown} is no run folder: there is no {_RECORD} in it.")
        data = _read(path / _RECORD)
        try:
            record = json.loads(data)
        except (ValueError, RecursionError):
            raise BadInput(f"{shown}/{_RECORD} is damaged: it is not JSON.") from None
        if not isinstance(record, dict) or record.get("format") != FORMAT:
            raise BadInput(f"{shown}/{_RECORD} is not of a run that this version of bsmon can read.")
        return cls(path, record)

    @property
    def config_path(self) -> Path:
        """The config file as the person gave it."""
        return self.path / "config.toml"

    def config_text(self) -> str:
        """What the config file says. Raises BadInput where it cannot be read."""
        try:
            return _read(self.config_path).decode()
        except UnicodeDecodeError:
            raise BadInput(f"{clean(str(self.config_path))} is damaged: it is not UTF-8.") from None

    @property
    def record_path(self) -> Path:
        """Versions, host, git commit, status."""
        return self.path / _RECORD

    @property
    def journal_path(self) -> Path:
        """Steps, hardware samples and events."""
        return self.path / "journal.jsonl"

    @property
    def log_path(self) -> Path:
        """Everything that was printed."""
        return self.path / "log.txt"

    @property
    def checkpoints_path(self) -> Path:
        """The folder of the checkpoints."""
        return self.path / "checkpoints"

    @property
    def record(self) -> dict[str, object]:
        """What run.json says, as it was opened or last updated here; text in it is not safe for a terminal."""
        return dict(self._record)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """While inside, no other process of this machine is: for looking at run.json and changing it at one go.

        Nothing is held where the file system has no locks.
        """
        folder = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            with contextlib.suppress(OSError):
                fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)

    def update(self, **changes: object) -> None:
        """Set keys of run.json, `status` (a `RunState`) say, and write it. Only the process that trains may call this.

        Raises:
            OSError: Not written (disk full, ...); readers still see the former state, and the next update repeats it.
        """
        self._record.update(changes)
        text = json.dumps(self._record, indent=1, allow_nan=False)
        write_atomically(self.record_path, (text + "\n").encode())


def clean_name(name: str) -> str:
    """Turn a run's name into a file name: letters, digits, "._-", at most 60 of them, never hidden or empty."""
    kept = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip(".-")[:_LONGEST_NAME].strip(".-")
    return kept or "run"


def _read(path: Path) -> bytes:
    """The bytes of a small file. Raises BadInput where it is a link, a pipe, or cannot be read."""
    try:
        with os.fdopen(open_regular(path), "rb") as file:
            return file.read(_LARGEST_FILE)
    except OSError as error:
        is_link = error.errno == errno.ELOOP
        reason = "it is a link, and links are not followed" if is_link else error.strerror or str(error)
        raise BadInput(f"{clean(str(path))} cannot be read: {reason}.") from error


def _unused(wanted: Path) -> Path:
    """Make the folder `wanted`, or the first of wanted-2, wanted-3, ... that is not there yet."""
    wanted.parent.mkdir(parents=True, exist_ok=True)
    for number in range(1, _MOST_AT_ONCE):
        path = wanted if number == 1 else wanted.with_name(f"{wanted.name}-{number}")
        try:
            path.mkdir(mode=PRIVATE_DIRECTORY)
        except FileExistsError:
            continue
        return path
    raise BadInput(f"{clean(str(wanted))} and {_MOST_AT_ONCE - 2} more folders of that name are there already.")


def _claim(exact: Path) -> Path:
    """Check that the folder a person named is free: absent or empty. Not made yet.

    Raises:
        BadInput: It holds a run, or something else.
    """
    shown = clean(str(exact))
    if (exact / _RECORD).exists():
        raise BadInput(f"{shown} already holds a run. Continue it with --resume, or give another --run-dir.")
    if exact.exists() and any(exact.iterdir()):
        raise BadInput(f"{shown} is not empty. Give a new or empty folder with --run-dir.")
    return exact


def _fill(run: RunDir, config: bytes, made: bool) -> RunDir:
    """Write the first files; take everything back when one cannot be written. `made`: the folder is bsmon's own."""
    try:
        run.path.mkdir(mode=PRIVATE_DIRECTORY, parents=True, exist_ok=True)
        run.checkpoints_path.mkdir(mode=PRIVATE_DIRECTORY)
        write_atomically(run.config_path, config)
        run.update()
        sync_directory(run.path.parent)
    except BaseException:
        _take_back(run, made)
        raise
    return run


def _take_back(run: RunDir, made: bool) -> None:
    if made:
        shutil.rmtree(run.path, ignore_errors=True)
        return
    shutil.rmtree(run.checkpoints_path, ignore_errors=True)
    for path in (run.config_path, run.record_path):
        path.unlink(missing_ok=True)
