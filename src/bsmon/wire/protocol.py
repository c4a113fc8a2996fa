"""What a viewer and a run say to each other.

    viewer                                   run
    Hello(protocol, control)            ->
                                        <-   Welcome(version, control)
    Poll()                              ->
                                        <-   State(changes): the whole snapshot the first time, then what changed
    Submit(number, command, fields)     ->
                                        <-   Acknowledged(number)
                                        <-   Goodbye(reason): before the run closes the connection

The viewer asks for each state, so one that stops reading costs the run nothing.
"""

from __future__ import annotations

import dataclasses
import math
import typing
from typing import Any

import msgspec

from bsmon.core.commands import Command
from bsmon.wire.frames import BadFrame

PROTOCOL = 1
LARGEST_REQUEST = 1 << 16
LARGEST_ANSWER = 1 << 26


class Hello(msgspec.Struct, tag="hello", frozen=True):
    """A viewer's first message. `control`: it wants to submit commands."""

    protocol: int
    control: bool


class Poll(msgspec.Struct, tag="poll", frozen=True):
    """Asks for the next state; answered when there is one."""


class Submit(msgspec.Struct, tag="submit", frozen=True):
    """A command by the name of its class, with its fields."""

    number: int
    command: str
    fields: msgspec.Raw


class Welcome(msgspec.Struct, tag="welcome", frozen=True):
    """The run's first message, with the version of bsmon that it runs on."""

    version: str
    control: bool


class State(msgspec.Struct, tag="state", frozen=True):
    """What changed since the last state on this connection (`changes.Changes`, encoded)."""

    changes: msgspec.Raw


class Acknowledged(msgspec.Struct, tag="ack", frozen=True):
    """The command was handed to the run, or was `refused`: a sentence. What came of it is an event."""

    number: int
    refused: str = ""


class Goodbye(msgspec.Struct, tag="goodbye", frozen=True):
    """The run closes this connection."""

    reason: str


Request = Hello | Poll | Submit
Answer = Welcome | State | Acknowledged | Goodbye

_COMMANDS: dict[str, type] = {kind.__name__: kind for kind in typing.get_args(Command)}
_encoder = msgspec.msgpack.Encoder()
_request_decoder = msgspec.msgpack.Decoder(Request)
_answer_decoder = msgspec.msgpack.Decoder(Answer)


def encode(message: Request | Answer) -> bytes:
    """The payload of a message."""
    return _encoder.encode(message)


def decode_request(payload: bytes) -> Request:
    """A viewer's message. Raises BadFrame."""
    try:
        request: Request = _request_decoder.decode(payload)
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadFrame(f"not a request: {error}") from None
    return request


def decode_answer(payload: bytes) -> Answer:
    """A run's message. Raises BadFrame."""
    try:
        answer: Answer = _answer_decoder.decode(payload)
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadFrame(f"not an answer: {error}") from None
    return answer


def submit(number: int, command: Command) -> Submit:
    """The message that asks for a command."""
    return Submit(number, type(command).__name__, msgspec.Raw(_encoder.encode(command)))


def command_of(message: Submit) -> Command:
    """The command that was asked for. Raises BadFrame for one that is unknown, or holds what no number can be."""
    kind = _COMMANDS.get(message.command)
    if kind is None:
        raise BadFrame("a command that this version of bsmon does not know")
    try:
        command: Any = msgspec.msgpack.decode(message.fields, type=kind)
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadFrame(f"not a {message.command}: {error}") from None
    for field in dataclasses.fields(command):
        value = getattr(command, field.name)
        if isinstance(value, float) and not (math.isfinite(value) and value > 0):
            raise BadFrame(f"{field.name} must be a positive number")
    return typing.cast(Command, command)
