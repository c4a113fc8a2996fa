"""A folder to train in, and its runs as other processes see them; none of their processes outlives the test."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bsmon.core.snapshot import Snapshot
from bsmon.store.provenance import is_running
from bsmon.store.run_dir import RunDir
from bsmon.wire.remote import RemoteSession

PATIENCE_S = 30.0


def until(holds: Callable[[], bool]) -> None:
    """Wait for another process; fails after the time, never passes by it."""
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


class Run:
    """The one run under `root`, read anew at every look."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @property
    def dir(self) -> RunDir:
        (folder,) = (self._root / "runs").iterdir()
        return RunDir.open(folder)

    @property
    def has_begun(self) -> bool:
        """Whether it listens on its socket, which it does once it trains."""
        try:
            return self.dir.record.get("socket") is not None
        except (OSError, ValueError):  # the folder is not there yet, or is being made
            return False

    @property
    def pid(self) -> int:
        process = self.dir.record["process"]
        assert isinstance(process, dict)
        return int(process["pid"])

    @property
    def is_alive(self) -> bool:
        return is_running(self.dir.record) is True

    @property
    def status(self) -> object:
        return self.dir.record["status"]

    def says(self, text: str) -> bool:
        """Whether an event in the journal has this text."""
        path = self.dir.journal_path
        return path.exists() and text in path.read_text(encoding="utf-8")

    def watch(self) -> RemoteSession:
        """Attach; the caller closes it."""
        remote = RemoteSession(Path(str(self.dir.record["socket"])), control=True)
        remote.open(PATIENCE_S)
        return remote

    def until(self, holds: Callable[[Snapshot], bool]) -> Snapshot:
        """Wait for a state of the run, seen through its socket."""
        remote = self.watch()
        try:
            until(lambda: holds(remote.snapshot()))
            return remote.snapshot()
        finally:
            remote.close()

    def is_training_on(self) -> bool:
        """Whether steps are made: waits for a hundred more than there are."""
        step = self.until(lambda snapshot: snapshot.progress.step > 0).progress.step
        self.until(lambda snapshot: snapshot.progress.step > step + 100)
        return True

    def terminate(self) -> None:
        self.signal(signal.SIGTERM)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process that trains."""
        os.kill(self.pid, number)


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    found = Run(tmp_path)
    yield found
    if list(tmp_path.glob("runs/*/run.json")) and found.is_alive:
        os.kill(found.pid, signal.SIGKILL)


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """One thread, and sockets of this test's own."""
    runtime = tmp_path / "xdg"
    runtime.mkdir(mode=0o700)
    root = Path(__file__).resolve().parents[3]
    return {"OMP_NUM_THREADS": "1", "PYTHONPATH": f"{root / 'src'}:{root}", "XDG_RUNTIME_DIR": str(runtime)}
