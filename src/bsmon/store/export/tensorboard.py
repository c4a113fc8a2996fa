"""TensorBoard's event files, written by hand: the format is small and has been the same since 2015.

A file is a row of records (TFRecord): length (8 bytes, little endian), masked CRC-32C of the length, data, masked
CRC-32C of the data. The data is a protocol buffer `Event`: 1 wall_time (double), 2 step (varint), 3 file_version
(string), 5 summary; a summary holds values (field 1) of 1 tag (string) and 2 simple_value (float).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from bsmon.store.export.rows import COLUMNS, StepTable, Value

_POLYNOMIAL = 0x82F63B78  # CRC-32C (Castagnoli), bits reversed
_MASK_DELTA = 0xA282EAD8
_LEFT_OUT = ("step", "time_s")


def _crc_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = (value >> 1) ^ (_POLYNOMIAL if value & 1 else 0)
        table.append(value)
    return tuple(table)


_TABLE = _crc_table()


def write_tensorboard(journal: Path, folder: Path) -> Path:
    """Write one event file into `folder`, made if need be, and return its path. Raises OSError, BadInput."""
    table = StepTable(journal)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"events.out.tfevents.{int(journal.stat().st_mtime):010d}.bsmon"
    with path.open("wb") as out:
        _record(out, struct.pack("<Bd", 0x09, 0.0) + _text(3, b"brain.Event:2"))
        for rows in table.batches():
            for row in rows:
                _record(out, _event(table.clock, row))
    return path


def crc32c(data: bytes) -> int:
    """CRC-32C as in RFC 3720, appendix B.4."""
    value = 0xFFFFFFFF
    for byte in data:
        value = (value >> 8) ^ _TABLE[(value ^ byte) & 0xFF]
    return value ^ 0xFFFFFFFF


def _masked_crc(data: bytes) -> bytes:
    crc = crc32c(data)
    return struct.pack("<I", (((crc >> 15) | (crc << 17)) + _MASK_DELTA) & 0xFFFFFFFF)


def _record(out: BinaryIO, data: bytes) -> None:
    length = struct.pack("<Q", len(data))
    out.write(length + _masked_crc(length) + data + _masked_crc(data))


def _event(clock: float, row: Sequence[Value]) -> bytes:
    named = dict(zip(COLUMNS, row, strict=True))
    wall_time = clock + float(named["time_s"] or 0.0)
    values = b"".join(_text(1, value) for value in _values(named))
    return struct.pack("<Bd", 0x09, wall_time) + b"\x10" + _varint(int(named["step"] or 0)) + _text(5, values)


def _values(named: dict[str, Value]) -> Iterator[bytes]:
    for name, value in named.items():
        if value is not None and name not in _LEFT_OUT:
            yield _text(1, name.encode()) + struct.pack("<Bf", 0x15, value)


def _text(field: int, data: bytes) -> bytes:
    return bytes((field << 3 | 2,)) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)
