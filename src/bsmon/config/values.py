"""TOML values and keys as text, and what sort of thing a value is."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping, Sequence

_SHORT_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}
_KINDS: tuple[tuple[type, str], ...] = (
    (bool, "a boolean"),  # before int: a bool is one
    (int, "a whole number"),
    (float, "a decimal number"),
    (str, "text"),
    (Mapping, "a table"),
    (Sequence, "a list"),
    (datetime.date, "a date"),
    (datetime.time, "a time"),
)


def toml_value(value: object) -> str:
    """`value` as TOML text that reads back as the same value. Unprintable characters are escaped.

    Raises TypeError for what TOML cannot hold, None among it.
    """
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return repr(value)
        case str():
            return f'"{"".join(map(_escape, value))}"'
        case list() | tuple():
            return f"[{', '.join(map(toml_value, value))}]"
        case Mapping():
            inner = ", ".join(f"{toml_key(str(key))} = {toml_value(item)}" for key, item in value.items())
            return f"{{ {inner} }}" if inner else "{}"
        case datetime.date() | datetime.time():
            return value.isoformat()
        case _:
            raise TypeError(f"TOML has no {type(value).__name__}")


def toml_key(key: str) -> str:
    """`key` as it stands in TOML: bare where it can, else quoted."""
    return key if re.match(r"^[A-Za-z0-9_-]+\Z", key) else toml_value(key)


def kind_of(value: object) -> str:
    """What sort of TOML value this is, in words: "a whole number", "text", ..."""
    return next(kind for python_type, kind in _KINDS if isinstance(value, python_type))


def _escape(character: str) -> str:
    if character in _SHORT_ESCAPES:
        return _SHORT_ESCAPES[character]
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
