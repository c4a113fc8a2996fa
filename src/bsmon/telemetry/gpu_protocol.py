"""What the GPU reader's process and the sampler say to each other: one JSON line each way."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from bsmon.core.records import GpuSample


@dataclass(frozen=True, slots=True)
class Request:
    """Read all GPUs once. `own`: the UUID of the run's GPU, whose slow readings are worth their time; "" = unknown."""

    own: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the driver said. `problem`: why there is nothing; `absent`: asking again will not help."""

    gpus: tuple[GpuSample, ...] = ()
    driver: str = ""
    problem: str = ""
    absent: bool = False
    cpu_s: float = 0.0  # processor time that the reader's process has used so far


class GpusUnavailable(Exception):
    """No GPU can be read; the message is one sentence. `absent`: there is no driver, so that will not change."""

    def __init__(self, reason: str, *, absent: bool = False) -> None:
        super().__init__(reason)
        self.absent = absent


_encode = msgspec.json.Encoder().encode
_decode_request = msgspec.json.Decoder(Request).decode
_decode_answer = msgspec.json.Decoder(Answer).decode


def encode(message: Request | Answer) -> bytes:
    """The message as one line."""
    return _encode(message) + b"\n"


def decode_request(line: bytes) -> Request:
    """Raises msgspec.DecodeError or msgspec.ValidationError for anything else than a request."""
    return _decode_request(line)


def decode_answer(line: bytes) -> Answer:
    """Raises msgspec.DecodeError or msgspec.ValidationError for anything else than an answer."""
    return _decode_answer(line)
