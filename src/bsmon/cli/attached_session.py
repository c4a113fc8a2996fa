"""A run seen from another terminal: through its socket, and through its files where the socket does not answer."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from bsmon.core.commands import Command
from bsmon.core.snapshot import Snapshot
from bsmon.store.provenance import is_running
from bsmon.store.run_dir import RunDir
from bsmon.store.runs import Standing, standing
from bsmon.wire.address import socket_name
from bsmon.wire.remote import ConnectionLost, RemoteSession

if TYPE_CHECKING:
    from bsmon.session.replay import FollowSession

_ANSWER_S = 10.0  # a training whose C code holds the interpreter may take a while
_LOOK_EVERY_S = 1.0


class AttachedSession:
    """Implements `core.ports.Session`. Goes over to the files when the run's process is gone, and stays there.

    Raises BadInput where neither socket nor journal can be read.
    """

    def __init__(self, run: RunDir, *, control: bool) -> None:
        self._run = run
        self._notices: list[str] = []
        self._looked_at = 0.0
        self._remote = self._connected(control)
        self._files = _through_files(run) if self._remote is None else None
        self.may_control = control and self._remote is not None

    def snapshot(self) -> Snapshot:
        """The newest state."""
        if self._files is not None:
            return self._files.snapshot()
        assert self._remote is not None  # one of the two is always there
        if self._remote.trouble and self._process_is_gone():
            self._files = _through_files(self._run)
        return self._remote.snapshot()

    def submit(self, command: Command) -> None:
        """Ask for something. Raises NotApplicable where this terminal may not, or the run does not answer."""
        if self._files is not None:
            self._files.submit(command)
        elif self._remote is not None:
            self._remote.submit(command)

    def notices(self) -> list[str]:
        """Sentences for the person since the last call."""
        own, self._notices = self._notices, []
        return own + (self._remote.notices() if self._remote is not None else [])

    def close(self) -> None:
        """Leave; the run is not touched."""
        if self._remote is not None:
            self._remote.close()
        if self._files is not None:
            self._files.close()

    def _connected(self, control: bool) -> RemoteSession | None:
        record = self._run.record
        if is_running(record) is None:
            self._notices.append("The run trains on another machine: seen through its files, view only.")
            return None
        path = record.get("socket")
        # run.json may be somebody else's: no other socket of this user is ever spoken to.
        if not isinstance(path, str) or Path(path).name != socket_name(self._run.path):
            self._notices.append("The run has no socket: seen through its files, view only.")
            return None
        remote = RemoteSession(Path(path), control=control)
        try:
            remote.open(_ANSWER_S)
        except ConnectionLost as reason:
            self._notices.append(f"The run's socket does not answer ({reason}): seen through its files, view only.")
            return None
        return remote

    def _process_is_gone(self) -> bool:
        now = time.monotonic()
        if now - self._looked_at < _LOOK_EVERY_S:
            return False
        self._looked_at = now
        return standing(self._run) is not Standing.LIVE


def _through_files(run: RunDir) -> FollowSession:
    # Imported late: the first frame over a socket does not need the journal's reader.
    from bsmon.session.replay import FollowSession

    return FollowSession(run)
