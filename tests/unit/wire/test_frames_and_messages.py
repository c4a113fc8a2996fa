"""The byte stream and its messages: whatever is sent arrives, and nothing else gets through."""

from __future__ import annotations

import math
from typing import Any, get_args, get_origin, get_type_hints

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bsmon.core.commands import Command
from bsmon.wire.frames import BadFrame, FrameReader, frame
from bsmon.wire.protocol import (
    Acknowledged,
    Goodbye,
    Hello,
    Poll,
    Submit,
    Welcome,
    command_of,
    decode_answer,
    decode_request,
    encode,
    submit,
)

NUMBERS = {
    int: st.integers(-(2**63), 2**63 - 1),  # what msgpack has room for
    float: st.floats(min_value=0, exclude_min=True, allow_infinity=False),
}


def commands(kind: type[Command]) -> st.SearchStrategy[Command]:
    """Any command of a kind, numbers within what may be asked for; a new kind needs nothing here."""
    return st.builds(kind, **{name: values(hint) for name, hint in get_type_hints(kind).items()})


def values(hint: Any) -> st.SearchStrategy[Any]:
    """Values of a field, of each of its types."""
    if get_origin(hint) is tuple:
        return st.lists(values(get_args(hint)[0]), max_size=5).map(tuple)
    return st.one_of([NUMBERS.get(kind, st.from_type(kind)) for kind in get_args(hint) or (hint,)])


@given(st.lists(st.binary(max_size=50), max_size=8), st.data())
def test_frames_arrive_whole_however_the_stream_is_cut(payloads: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(map(frame, payloads))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=10)))
    reader = FrameReader(50)
    pieces = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert [payload for piece in pieces for payload in reader.feed(piece)] == payloads


def test_a_frame_over_the_limit_is_refused_before_it_has_come() -> None:
    reader = FrameReader(50)
    with pytest.raises(BadFrame, match="51 bytes; at most 50"):
        list(reader.feed(frame(b"x" * 51)[:4]))


@given(st.sampled_from(get_args(Command)).flatmap(commands))
def test_every_command_arrives_as_it_was_sent(command: Command) -> None:
    message = decode_request(encode(submit(7, command)))
    assert isinstance(message, Submit)
    assert command_of(message) == command


@pytest.mark.parametrize("message", [Hello(1, control=True), Poll()])
def test_requests_arrive(message: Hello | Poll) -> None:
    assert decode_request(encode(message)) == message


@pytest.mark.parametrize("message", [Welcome("1.0", control=False), Acknowledged(3, "no"), Goodbye("over")])
def test_answers_arrive(message: Welcome | Acknowledged | Goodbye) -> None:
    assert decode_answer(encode(message)) == message


@pytest.mark.parametrize(
    ("command", "fields"),
    [
        ("ScaleBatchSize", {"factor": math.nan}),
        ("ScaleBatchSize", {"factor": math.inf}),
        ("ScaleBatchSize", {"factor": 0.0}),
        ("ScaleBatchSize", {}),
        ("SetLearningRate", {"learning_rate": -1.0}),
        ("SetBatchSize", {"batch_size": "64"}),
        ("SetBatchSize", {"batch_size": 64, "learning_rate": math.nan}),
        ("SetBatchSize", {"batch_size": 64, "learning_rate_rule": "cubic"}),
        ("Format", {}),
        ("__class__", {}),
    ],
)
def test_a_command_that_cannot_be_is_refused(command: str, fields: dict[str, object]) -> None:
    message = Submit(1, command, msgspec.Raw(msgspec.msgpack.encode(fields)))
    with pytest.raises(BadFrame):
        command_of(message)


@given(st.binary(max_size=200))
def test_random_bytes_are_a_bad_frame_and_nothing_else(data: bytes) -> None:
    for decode in (decode_request, decode_answer):
        try:
            decode(data)
        except BadFrame:
            continue
        assert data  # a message by chance; rarer than one in a million


def test_a_deeply_nested_message_is_a_bad_frame() -> None:
    with pytest.raises(BadFrame):
        decode_request(b"\x91" * 60_000)
