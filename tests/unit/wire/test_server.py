"""The run's end: what viewers are told, what they may do, and what the worst of them cannot do."""

from __future__ import annotations

import random
import socket
import threading
from pathlib import Path

import pytest

from bsmon.core.commands import Pause, ScaleBatchSize
from bsmon.core.records import EventKind, Level
from bsmon.core.snapshot import RunState
from bsmon.wire.address import connect
from bsmon.wire.changes import encode_changes
from bsmon.wire.frames import frame
from bsmon.wire.protocol import Acknowledged, Goodbye, Hello, Poll, State, decode_answer, encode, submit
from bsmon.wire.server import MOST_VIEWERS, RunServer
from bsmon.wire.viewer import MOST_REQUESTS_PER_SECOND, Viewer
from tests import fakes
from tests.fakes import FakeSession
from tests.unit.wire.conftest import PATIENCE_S, Peer

RANDOM_FRAMES = 2_000


def test_the_first_state_is_the_whole_and_the_next_what_changed(
    server: RunServer, session: FakeSession, path: Path
) -> None:
    peer = Peer(path)
    assert peer.poll() == session.current
    session.event(EventKind.MEMORY, Level.WARNING, "out of memory")
    assert peer.poll() == session.current


def test_an_answer_waits_until_there_is_something_new(server: RunServer, session: FakeSession, path: Path) -> None:
    peer = Peer(path, control=True)
    peer.poll()
    peer.say(Poll())
    peer.say(submit(1, Pause()))
    assert peer.hear() == Acknowledged(1)  # and no state before it
    session.change(state=RunState.PAUSED)
    assert isinstance(peer.hear(), State)


def test_a_command_arrives_with_control_and_is_refused_without(
    server: RunServer, session: FakeSession, path: Path
) -> None:
    onlooker, person = Peer(path), Peer(path, control=True)
    onlooker.say(submit(1, ScaleBatchSize(2.0)))
    assert onlooker.hear() == Acknowledged(1, "this viewer only looks on")
    assert session.submitted == []
    person.say(submit(5, ScaleBatchSize(2.0)))
    assert person.hear() == Acknowledged(5)
    assert session.submitted == [ScaleBatchSize(2.0)]


def test_viewers_do_not_disturb_each_other(server: RunServer, session: FakeSession, path: Path) -> None:
    peers = [Peer(path) for _ in range(5)]
    assert all(peer.poll() == session.current for peer in peers)
    peers[0].close()
    session.change(waiting_for="something")
    assert all(peer.poll() == session.current for peer in peers[1:])


def test_the_end_is_told_to_everybody_and_the_socket_is_gone(session: FakeSession, path: Path) -> None:
    server = RunServer(session, path)
    server.start()
    peer = Peer(path)
    peer.poll()
    peer.say(Poll())
    session.change(state=RunState.FINISHED)
    server.stop()
    assert isinstance(peer.hear(), State)
    assert peer.hear() == Goodbye("the run has ended")
    assert peer.hear() is None
    assert not path.exists()


def test_the_socket_of_a_successor_is_left_alone(session: FakeSession, path: Path) -> None:
    server = RunServer(session, path)
    server.start()
    path.unlink()
    path.write_text("somebody else's now")
    server.stop()
    assert path.exists()


def test_another_protocol_is_told_which_version_runs(stranger: socket.socket) -> None:
    stranger.sendall(frame(encode(Hello(999, control=False))))
    assert "speaks protocol" in farewell(stranger)


def test_nothing_is_answered_before_the_greeting(stranger: socket.socket) -> None:
    stranger.sendall(frame(encode(Poll())))
    assert "greeting" in farewell(stranger)


def test_a_frame_that_is_too_long_ends_the_connection(stranger: socket.socket) -> None:
    stranger.sendall(b"\xff\xff\xff\xff")
    assert "at most" in farewell(stranger)


def test_too_many_messages_end_the_connection(server: RunServer, path: Path) -> None:
    peer = Peer(path)
    # Within two seconds at most one second's start gives it a fresh count.
    peer.socket.sendall(frame(encode(Poll())) * 2 * (MOST_REQUESTS_PER_SECOND + 1))
    answers = []
    while (answer := peer.hear()) is not None:
        answers.append(answer)
    assert isinstance(answers[-1], Goodbye)
    assert "in a second" in answers[-1].reason


def test_more_viewers_than_a_few_dozen_are_sent_away(server: RunServer, path: Path) -> None:
    first = [Peer(path) for _ in range(MOST_VIEWERS)]
    with connect(path) as late:
        assert "look on already" in farewell(late)
    assert first[-1].poll() is not None
    for peer in first:
        peer.close()


def test_random_frames_end_their_connection_and_nothing_else(
    server: RunServer, session: FakeSession, path: Path
) -> None:
    witness, noise = Peer(path), random.Random(5)
    for _ in range(RANDOM_FRAMES):
        with connect(path) as connection:
            data = noise.randbytes(noise.randrange(64))
            connection.sendall(frame(data) if noise.random() < 0.8 else data)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(4096):  # until the run has dealt with it and hung up
                pass
    assert witness.poll() == session.current
    assert session.submitted == []


def test_a_viewer_that_does_not_read_is_dropped(
    server: RunServer, session: FakeSession, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dropped, close = threading.Event(), Viewer.close

    def closing(viewer: Viewer, reason: str) -> None:
        close(viewer, reason)
        dropped.set()

    monkeypatch.setattr(Viewer, "is_silent", lambda viewer, now: viewer.is_behind)
    monkeypatch.setattr(Viewer, "close", closing)
    session.change(series=fakes.training(20_000).series)  # more than the kernel keeps for one who does not read
    with connect(path) as lazy:
        lazy.sendall(frame(encode(Hello(1, control=False))) + frame(encode(Poll())))
        assert dropped.wait(PATIENCE_S)
        taken = 0
        while piece := lazy.recv(1 << 20):
            taken += len(piece)
    monkeypatch.undo()
    assert 0 < taken < len(encode_changes(None, session.current))
    assert Peer(path).poll() == session.current


def farewell(connection: socket.socket) -> str:
    """The reason that the run gives before it hangs up."""
    data = b""
    connection.settimeout(PATIENCE_S)
    while piece := connection.recv(65536):
        data += piece
    answer = decode_answer(data[4:])
    assert isinstance(answer, Goodbye)
    return answer.reason
