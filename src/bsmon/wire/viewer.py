"""One connection of the run's server: what it asked for, what it was told, what still waits to be sent."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable

from bsmon import __version__
from bsmon.core.commands import Command
from bsmon.core.snapshot import Snapshot
from bsmon.wire.frames import BadFrame, FrameReader, frame
from bsmon.wire.protocol import (
    LARGEST_REQUEST,
    PROTOCOL,
    Acknowledged,
    Answer,
    Goodbye,
    Hello,
    Poll,
    Submit,
    Welcome,
    command_of,
    decode_request,
    encode,
)

MOST_REQUESTS_PER_SECOND = 100
"""A screen makes about five; more would take the interpreter from the training."""

MOST_WAITING_BYTES = 1 << 20
SILENT_S = 30.0
"""A viewer that has not taken what was sent to it for so long is dropped."""

_READ_BYTES = 1 << 16


class Dropped(Exception):
    """This connection has to end; the message says why."""


class Viewer:
    """What waits for it is bounded: nothing is added once more than `MOST_WAITING_BYTES` wait."""

    def __init__(self, connection: socket.socket, submit: Callable[[Command], None]) -> None:
        connection.setblocking(False)
        self.socket = connection
        self.shown: Snapshot | None = None
        """The snapshot that this viewer has, or will have once it has read."""
        self.is_waiting = False
        """It asked for the next state."""
        self._submit = submit
        self._reader = FrameReader(LARGEST_REQUEST)
        self._greeted = False
        self._control = False
        self._out = bytearray()
        self._moved_at = time.monotonic()
        self._second, self._requests = 0, 0

    @property
    def is_behind(self) -> bool:
        """Whether something waits to be sent."""
        return bool(self._out)

    @property
    def is_new(self) -> bool:
        """Whether it waits for its first state."""
        return self.is_waiting and self.shown is None

    def read(self) -> bool:
        """Take what has come and act on it; whether a command was among it. Raises Dropped."""
        try:
            data = self.socket.recv(_READ_BYTES)
        except BlockingIOError:
            return False
        except OSError as error:
            raise Dropped(str(error)) from None
        if not data:
            raise Dropped("it has closed the connection")
        try:
            return sum([self._act(payload) for payload in self._reader.feed(data)]) > 0
        except BadFrame as error:
            raise Dropped(str(error)) from None

    def answer(self, message: Answer) -> None:
        """Send a message, or as much of it as goes. Raises Dropped."""
        self.send(frame(encode(message)))

    def send(self, data: bytes) -> None:
        """Send frames, or keep for later what does not go now. Raises Dropped."""
        if not self._out:
            self._moved_at = time.monotonic()
        elif len(self._out) > MOST_WAITING_BYTES:
            raise Dropped("it does not read its answers")
        self._out += data
        self.flush()

    def flush(self) -> None:
        """Send what waits, as much as goes. Raises Dropped."""
        try:
            while self._out:
                del self._out[: self.socket.send(self._out)]
                self._moved_at = time.monotonic()
        except BlockingIOError:
            return
        except OSError as error:
            raise Dropped(str(error)) from None

    def has_read(self, version: int) -> bool:
        """Whether it has been sent this version of the snapshot, all of it."""
        return self.shown is not None and self.shown.version == version and not self.is_behind

    def is_silent(self, now: float) -> bool:
        """Whether it has let its data wait too long."""
        return bool(self._out) and now - self._moved_at > SILENT_S

    def close(self, reason: str) -> None:
        """Say goodbye if that goes at once, and hang up."""
        with contextlib.suppress(Dropped):
            self.answer(Goodbye(reason))
        self.socket.close()

    def _act(self, payload: bytes) -> bool:
        self._count()
        match decode_request(payload):
            case Hello(protocol=protocol, control=control):
                self._greet(protocol, control)
            case _ if not self._greeted:
                raise BadFrame("the first message must be a greeting")
            case Poll():
                self.is_waiting = True
            case Submit() as message:
                self._take(message)
                return True
        return False

    def _count(self) -> None:
        second = int(time.monotonic())
        self._second, self._requests = second, self._requests + 1 if second == self._second else 1
        if self._requests > MOST_REQUESTS_PER_SECOND:
            raise BadFrame(f"more than {MOST_REQUESTS_PER_SECOND} messages in a second")

    def _greet(self, protocol: int, control: bool) -> None:
        if protocol != PROTOCOL:
            raise BadFrame(f"the run's bsmon is {__version__}, which speaks protocol {PROTOCOL}, not {protocol}")
        self._greeted, self._control = True, control
        self.answer(Welcome(__version__, control))

    def _take(self, message: Submit) -> None:
        command = command_of(message)
        if not self._control:
            self.answer(Acknowledged(message.number, "this viewer only looks on"))
            return
        self._submit(command)
        self.answer(Acknowledged(message.number))
