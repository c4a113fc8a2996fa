"""Messages on a byte stream: four bytes of length, most significant first, then so many bytes of msgpack."""

from __future__ import annotations

from collections.abc import Iterator

_LENGTH_BYTES = 4


class BadFrame(ValueError):
    """What came is no message of ours; the connection cannot go on."""


def frame(payload: bytes) -> bytes:
    """The payload with its length before it."""
    return len(payload).to_bytes(_LENGTH_BYTES, "big") + payload


class FrameReader:
    """Cuts a stream into payloads; holds at most one unfinished frame of `limit` bytes and what came with it."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take received bytes; yield each payload that is whole. Raises BadFrame for a length over the limit."""
        self._buffer += data
        while len(self._buffer) >= _LENGTH_BYTES:
            length = int.from_bytes(self._buffer[:_LENGTH_BYTES], "big")
            if length > self._limit:
                raise BadFrame(f"a message of {length} bytes; at most {self._limit} are taken")
            end = _LENGTH_BYTES + length
            if len(self._buffer) < end:
                return
            payload = bytes(self._buffer[_LENGTH_BYTES:end])
            del self._buffer[:end]
            yield payload
