"""The journal's lines: one JSON array a line, its first item the kind, its second the time in seconds since the start.

    ["h", time_s, {...}]         head of a writing process: format, version of bsmon, clock, run name
    ["s", time_s, [...], ...]    steps, column by column; a column that is one number holds for all of them
    ["d", time_s, number, value] a long text or mapping that later lines name by {"$ref": number}
    [kind, time_s, {...}]        everything else, as a mapping without the fields that have their default

What was measured has 7 significant digits, times 4 decimals. JSON has no NaN: in steps it is the text "nan" ("inf",
"-inf"), elsewhere {"$float": "nan"}. ("$": no field of a record and no keyword of an event can be called so.)
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from enum import Enum
from functools import cache
from typing import Any, get_args

import msgspec

from bsmon.core.gradients import LayerTable, Measurement, NoiseSample, ProbedWeight
from bsmon.core.happenings import (
    Accounted,
    Advised,
    Evaluated,
    Failed,
    Happening,
    HardwareRead,
    Measured,
    MemoryExpected,
    Noted,
    PlanSet,
    Rewound,
    RunDescribed,
    StateChanged,
)
from bsmon.core.records import ClassMix, GradientStats

FORMAT = 1

HEAD, DEFINITION = "h", "d"

_SHORT: Mapping[type[Any], str] = {
    GradientStats: "g",
    NoiseSample: "n",
    ProbedWeight: "w",
    LayerTable: "l",
    ClassMix: "c",
}

MEASUREMENTS: Mapping[str, type[Measurement]] = {
    _SHORT.get(kind, kind.__name__): kind for kind in get_args(Measurement)
}
"""Kind of line -> what it holds."""

WHOLE: Mapping[str, type[Happening]] = {
    "v": Evaluated,
    "m": HardwareRead,
    "r": StateChanged,
    "i": RunDescribed,
    "b": PlanSet,
    "e": Noted,
    "f": MemoryExpected,
    "back": Rewound,
    "x": Failed,
    "a": Advised,
    "t": Accounted,
}
"""Kind of line -> the happening it holds."""

_KINDS: Mapping[type, str] = {kind: name for table in (MEASUREMENTS, WHOLE) for name, kind in table.items()}
# Only these repeat the same long values again and again; everything else is said once.
_REPEATING = (HardwareRead, Advised, Measured, Accounted)
_LONG_TEXT, _LONG_MAPPING = 24, 2
MOST_DEFINITIONS = 4096
# What a person or the engine decided must come back as it was: a replay sets the very same learning rate.
_MEASURED_DIGITS, _ALL_DIGITS = 7, 17

_encode = msgspec.json.Encoder().encode

Plain = None | bool | int | float | str | list["Plain"] | dict[str, "Plain"]


class Packer:
    """Makes lines of happenings. Remembers which long values were written already, so one serves one file."""

    def __init__(self) -> None:
        self._numbers: dict[bytes, int] = {}

    def head(self, time_s: float, fields: Mapping[str, str | float | int]) -> bytes:
        """The line that opens a writing process's part of the file."""
        return _encode([HEAD, round(time_s, 4), {"format": FORMAT, **fields}]) + b"\n"

    def lines(self, time_s: float, happening: Happening) -> list[bytes]:
        """The line of one happening that is not steps, after the definitions that it needs."""
        held = happening.measurement if isinstance(happening, Measured) else happening
        definitions: list[bytes] = []
        at = round(time_s, 4)
        repeats = isinstance(happening, _REPEATING)
        packed = plain(held, _MEASURED_DIGITS if repeats else _ALL_DIGITS)
        if repeats and isinstance(packed, dict):
            packed = {key: self._shortened(value, at, definitions) for key, value in packed.items()}
        return [*definitions, _encode([_KINDS[type(held)], at, packed]) + b"\n"]

    def _shortened(self, value: Plain, at: float, definitions: list[bytes]) -> Plain:
        """`value` with its long texts and mappings of texts replaced by references."""
        if isinstance(value, str):
            return self._reference(value, at, definitions) if len(value) > _LONG_TEXT else value
        if isinstance(value, list):
            return [self._shortened(item, at, definitions) for item in value]
        if isinstance(value, dict):
            if len(value) > _LONG_MAPPING and all(isinstance(item, str) for item in value.values()):
                return self._reference(value, at, definitions)
            return {key: self._shortened(item, at, definitions) for key, item in value.items()}
        return value

    def _reference(self, value: Plain, at: float, definitions: list[bytes]) -> Plain:
        encoded = _encode(value)
        number = self._numbers.get(encoded)
        if number is None:
            if len(self._numbers) >= MOST_DEFINITIONS:
                return value
            number = self._numbers[encoded] = len(self._numbers)
            definitions.append(_encode([DEFINITION, at, number, value]) + b"\n")
        return {"$ref": number}


def plain(value: object, digits: int = _ALL_DIGITS) -> Plain:
    """A record as plain values: enums by value, floats rounded, fields that have their default left out."""
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, float):
        return float(f"{value:.{digits}g}") if math.isfinite(value) else {"$float": repr(value)}
    if isinstance(value, str):
        # A path that is no UTF-8 has lone surrogates, which no JSON can hold.
        return value.encode("utf-8", "replace").decode()
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(item, digits) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, digits) for item in value]
    if isinstance(value, frozenset):
        return [*sorted(str(item) for item in value)]
    packed: dict[str, Plain] = {}
    kind: Any = type(value)
    for name, default in _fields(kind):
        item = getattr(value, name)
        if item is not default and (default is dataclasses.MISSING or item != default):
            packed[name] = plain(item, digits)
    return packed


@cache
def _fields(kind: type[Any]) -> tuple[tuple[str, object], ...]:
    return tuple(
        (field.name, field.default if field.default_factory is dataclasses.MISSING else field.default_factory())
        for field in dataclasses.fields(kind)
    )


def restored(value: Plain, definitions: Mapping[int, Plain]) -> Plain:
    """A line's mapping with references and non-finite numbers put back.

    Raises KeyError for a reference whose definition was lost, ValueError for a marker that is no number.
    """
    if isinstance(value, dict):
        if len(value) == 1:
            if isinstance(number := value.get("$ref"), int):
                return definitions[number]
            if isinstance(text := value.get("$float"), str):
                return float(text)
        return {key: restored(item, definitions) for key, item in value.items()}
    if isinstance(value, list):
        return [restored(item, definitions) for item in value]
    return value
