"""A run of another process as a session: it follows, it refuses, it comes back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bsmon.core.commands import Pause
from bsmon.core.errors import NotApplicable
from bsmon.core.snapshot import RunState
from bsmon.wire import remote as remote_module
from bsmon.wire.remote import ConnectionLost, RemoteSession
from bsmon.wire.server import RunServer
from tests.fakes import FakeSession

PATIENCE_S = 20.0


@pytest.fixture
def remote(server: RunServer, path: Path) -> Iterator[RemoteSession]:
    opened = RemoteSession(path, control=True)
    opened.open(PATIENCE_S)
    yield opened
    opened.close()


def until(holds: Callable[[], bool]) -> None:
    """Wait for another thread; fails after the time, never passes by it."""
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_it_shows_what_the_run_shows(remote: RemoteSession, session: FakeSession) -> None:
    assert remote.snapshot() == session.current
    session.change(state=RunState.PAUSED)
    until(lambda: remote.snapshot() == session.current)


def test_a_command_arrives(remote: RemoteSession, session: FakeSession) -> None:
    remote.submit(Pause())
    until(lambda: session.submitted == [Pause()])


def test_without_control_a_command_is_refused_in_words(server: RunServer, session: FakeSession, path: Path) -> None:
    onlooker = RemoteSession(path, control=False)
    onlooker.open(PATIENCE_S)
    with pytest.raises(NotApplicable, match="only looks on"):
        onlooker.submit(Pause())
    onlooker.close()
    assert session.submitted == []


def test_it_comes_back_after_a_lost_connection(
    session: FakeSession, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_module, "RETRY_S", 0.05)
    first, second = RunServer(session, path), RunServer(session, path)
    first.start()
    remote = RemoteSession(path, control=True)
    remote.open(PATIENCE_S)
    first.stop()
    until(lambda: remote.trouble != "")
    with pytest.raises(NotApplicable, match="Not sent"):
        remote.submit(Pause())
    assert "does not answer" in remote.snapshot().waiting_for
    session.change(state=RunState.PAUSED)
    second.start()
    until(lambda: remote.snapshot() == session.current)
    lost, back = remote.notices()
    assert "lost" in lost
    assert back == "The run answers again."
    assert remote.trouble == ""
    remote.close()
    second.stop()


def test_the_end_of_the_run_is_no_trouble(session: FakeSession, path: Path) -> None:
    server = RunServer(session, path)
    server.start()
    remote = RemoteSession(path, control=False)
    remote.open(PATIENCE_S)
    session.change(state=RunState.FINISHED)
    server.stop()
    until(lambda: remote.snapshot().state is RunState.FINISHED)
    remote.close()
    assert remote.trouble == ""
    assert remote.notices() == []


def test_where_nobody_listens_opening_says_so(path: Path) -> None:
    with pytest.raises(ConnectionLost, match="No such file"):
        RemoteSession(path, control=False).open(0.5)
