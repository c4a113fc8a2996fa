"""A server over a session that only remembers, and viewers of it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from bsmon.core.snapshot import Snapshot
from bsmon.wire.address import connect
from bsmon.wire.changes import apply_changes
from bsmon.wire.frames import FrameReader, frame
from bsmon.wire.protocol import (
    LARGEST_ANSWER,
    PROTOCOL,
    Answer,
    Hello,
    Poll,
    Request,
    State,
    Welcome,
    decode_answer,
    encode,
)
from bsmon.wire.server import RunServer
from tests import fakes

PATIENCE_S = 20.0


class Peer:
    """The other end of the wire, message by message."""

    def __init__(self, path: Path, *, control: bool = False) -> None:
        self.socket = connect(path)
        self.socket.settimeout(PATIENCE_S)
        self._reader = FrameReader(LARGEST_ANSWER)
        self._heard: list[Answer] = []
        self.snapshot: Snapshot | None = None
        self.say(Hello(PROTOCOL, control))
        assert isinstance(self.hear(), Welcome)

    def say(self, message: Request) -> None:
        self.socket.sendall(frame(encode(message)))

    def hear(self) -> Answer | None:
        """The next message; None when the run has hung up."""
        while not self._heard:
            try:
                data = self.socket.recv(1 << 16)
            except ConnectionResetError:
                return None
            if not data:
                return None
            self._heard += map(decode_answer, self._reader.feed(data))
        return self._heard.pop(0)

    def poll(self) -> Snapshot:
        """Ask for a state and take it."""
        self.say(Poll())
        answer = self.hear()
        assert isinstance(answer, State)
        self.snapshot = apply_changes(self.snapshot, answer.changes)
        return self.snapshot

    def close(self) -> None:
        self.socket.close()


@pytest.fixture
def session() -> fakes.FakeSession:
    return fakes.FakeSession(fakes.training())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.sock"


@pytest.fixture
def server(session: fakes.FakeSession, path: Path) -> Iterator[RunServer]:
    running = RunServer(session, path)
    running.start()
    yield running
    running.stop()


@pytest.fixture
def stranger(server: RunServer, path: Path) -> Iterator[socket.socket]:
    """A connection that has not said anything yet."""
    with connect(path) as connection:
        connection.settimeout(PATIENCE_S)
        yield connection
