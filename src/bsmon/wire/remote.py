"""A run in another process of this user, as a session: what `bsmon attach` shows."""

from __future__ import annotations

import dataclasses
import selectors
import socket
import threading
from collections import deque
from pathlib import Path

from bsmon.core.commands import Command
from bsmon.core.errors import NotApplicable
from bsmon.core.snapshot import Snapshot
from bsmon.wire.address import connect
from bsmon.wire.changes import apply_changes
from bsmon.wire.frames import BadFrame, FrameReader, frame
from bsmon.wire.protocol import (
    LARGEST_ANSWER,
    PROTOCOL,
    Acknowledged,
    Goodbye,
    Hello,
    Poll,
    Request,
    State,
    Welcome,
    decode_answer,
    encode,
    submit,
)

RETRY_S = 1.0
_READ_BYTES = 1 << 18
_SEND_S = 5.0


class ConnectionLost(OSError):
    """The run does not answer any more; the message says why."""


class RemoteSession:
    """Implements `core.ports.Session` over a run's socket; comes back by itself after a lost connection.

    A thread of its own reads and writes, so that no method waits.
    """

    def __init__(self, path: Path, *, control: bool) -> None:
        self._path = path
        self._control = control
        self._snapshot: Snapshot | None = None
        self._trouble = ""
        self._notices: deque[str] = deque(maxlen=20)
        self._wanted: deque[Command] = deque()
        self._first = threading.Event()
        self._closing = threading.Event()
        self._wake, self._woken = socket.socketpair()
        self._thread = threading.Thread(target=self._run, name="bsmon-remote", daemon=True)

    def open(self, timeout_s: float) -> None:
        """Connect, and wait for the first snapshot. Raises ConnectionLost."""
        self._thread.start()
        if not self._first.wait(timeout_s) or self._snapshot is None:
            self.close()
            raise ConnectionLost(self._trouble or f"no answer within {timeout_s:g} s")

    def close(self) -> None:
        """Hang up; the run is not touched."""
        self._closing.set()
        self._wake.close()
        self._thread.join()

    @property
    def trouble(self) -> str:
        """Why nothing new comes; "" while all is well."""
        return self._trouble

    def notices(self) -> list[str]:
        """Sentences for the person since the last call: the connection was lost, is back, a command was refused."""
        return [self._notices.popleft() for _ in range(len(self._notices))]

    def snapshot(self) -> Snapshot:
        """The newest state that has come."""
        if self._snapshot is None:
            raise NotApplicable("The run has not answered yet.")
        return self._snapshot

    def submit(self, command: Command) -> None:
        """Send a command. Raises NotApplicable without control, and while the run does not answer."""
        if not self._control:
            raise NotApplicable("This screen only looks on. bsmon attach --control may change the run.")
        if self._trouble:
            raise NotApplicable(f"Not sent: {self._trouble}.")
        self._wanted.append(command)
        self._wake.send(b"w")

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                self._talk(connect(self._path))
            except (OSError, BadFrame) as error:
                self._lost(error)
            ended = self._snapshot is not None and self._snapshot.state.ended
            if ended or self._closing.wait(RETRY_S):
                return

    def _talk(self, connection: socket.socket) -> None:
        """Follow the run until one of the two hangs up."""
        with connection, selectors.DefaultSelector() as selector:
            connection.settimeout(_SEND_S)
            selector.register(connection, selectors.EVENT_READ)
            selector.register(self._woken, selectors.EVENT_READ)
            conversation = _Conversation(connection)
            conversation.say(Hello(PROTOCOL, self._control))
            while not self._closing.is_set():
                ready = {key.fileobj for key, _ in selector.select()}
                if self._woken in ready:
                    self._woken.recv(4096)
                    self._send_wanted(conversation)
                if connection in ready:
                    for answer in conversation.hear():
                        self._take(conversation, answer)

    def _send_wanted(self, conversation: _Conversation) -> None:
        while self._wanted:
            conversation.submit(self._wanted.popleft())

    def _take(self, conversation: _Conversation, answer: object) -> None:
        match answer:
            case Welcome():
                conversation.say(Poll())
            case State(changes=changes):
                conversation.snapshot = apply_changes(conversation.snapshot, changes)
                self._arrived(conversation.snapshot)
                conversation.say(Poll())
            case Acknowledged(refused=refused) if refused:
                self._notices.append(f"Refused: {refused}.")
            case Goodbye(reason=reason):
                raise ConnectionLost(reason)

    def _arrived(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        if self._trouble:
            self._trouble = ""
            self._notices.append("The run answers again.")
        self._first.set()

    def _lost(self, error: Exception) -> None:
        known = self._snapshot
        if self._closing.is_set() or (known is not None and known.state.ended):
            return
        if not self._trouble and known is not None:
            self._notices.append(f"The connection to the run is lost: {error}. Trying again ...")
        self._trouble = f"the run does not answer ({error})"
        if known is not None:
            self._snapshot = dataclasses.replace(known, version=known.version + 1, waiting_for=self._trouble)


class _Conversation:
    """One connection's stream of messages. Raises ConnectionLost and BadFrame."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._reader = FrameReader(LARGEST_ANSWER)
        self._number = 0
        self.snapshot: Snapshot | None = None
        """As built from this connection's states."""

    def say(self, message: Request) -> None:
        self._connection.sendall(frame(encode(message)))

    def submit(self, command: Command) -> None:
        self._number += 1
        self.say(submit(self._number, command))

    def hear(self) -> list[object]:
        data = self._connection.recv(_READ_BYTES)
        if not data:
            raise ConnectionLost("it has hung up")
        return [decode_answer(payload) for payload in self._reader.feed(data)]
