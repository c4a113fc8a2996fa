"""The config file's text, and its TOML; what cannot be read is explained."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

from bsmon.config.nearest import nearest
from bsmon.core.errors import BadInput
from bsmon.core.text import clean

_DEEPEST = 50  # levels of tables and lists; what walks a value later may do so by recursion
_LARGEST = 2**63  # TOML's integers have 64 bits
_SHOWN_WIDTH = 100  # columns of an offending line
_MOST_BYTES = 1 << 20  # far beyond any config; a checkpoint or /dev/zero given by mistake must not be read whole


def read_text(path: Path) -> str:
    """The file's text. Raises BadInput when it is missing, a folder, unreadable, too large or no UTF-8."""
    shown = clean(str(path))
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except FileNotFoundError:
        raise BadInput(clean(_missing(path))) from None
    except IsADirectoryError:
        raise BadInput(f"{shown} is a folder; give the config file in it") from None
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        raise BadInput(f"{shown} cannot be read: {clean(getattr(error, 'strerror', None) or str(error))}") from None
    if len(data) > _MOST_BYTES:
        raise BadInput(f"{shown} is larger than 1 MiB; that is no config file")
    try:
        return data.decode("utf-8-sig")  # editors on Windows put a mark in front
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise BadInput(f"{shown}: line {line} is not UTF-8 text; save the file as UTF-8") from None


def parse_toml(text: str, path: Path) -> dict[str, object]:
    """The file as a table. Raises BadInput with line, column and the offending line where the TOML is broken."""
    shown = clean(str(path))
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadInput(_broken(text, shown, str(error))) from None
    except RecursionError:
        raise BadInput(f"{shown}: lists or tables are nested too deep") from None
    except ValueError:  # Python reads no integer of thousands of digits
        raise BadInput(f"{shown}: a whole number is too large; it must fit 64 bits") from None


def check_limits(table: Mapping[str, object], path: Path) -> None:
    """Raise BadInput where values are nested too deep, or whole numbers do not fit 64 bits."""
    waiting: list[tuple[object, int]] = [(table, 0)]
    while waiting:
        value, depth = waiting.pop()
        if depth > _DEEPEST:
            raise BadInput(f"{clean(str(path))}: lists or tables are nested too deep (more than {_DEEPEST} levels)")
        if isinstance(value, int) and not -_LARGEST <= value < _LARGEST:
            raise BadInput(f"{clean(str(path))}: a whole number is too large; it must fit 64 bits")
        inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
        waiting.extend((item, depth + 1) for item in inner)


def _missing(path: Path) -> str:
    folder = path.parent
    if not folder.is_dir():
        return f"{path}: there is no folder {folder}"
    found = sorted(entry.name for entry in folder.glob("*.toml"))
    match = nearest(path.name, found) or nearest(f"{path.name}.toml", found)
    hint = f"did you mean {folder / match}? " if match else ""
    return f"{path}: there is no such file; {hint}`bsmon init {path.name}` writes a new one"


def _broken(text: str, shown: str, reason: str) -> str:
    """Message with the line and a mark under the column. tomllib gives both only as text before Python 3.14."""
    lines = text.split("\n")
    found = re.search(r" \(at line (\d+), column (\d+)\)$", reason)
    line, column = (int(found[1]), int(found[2])) if found else (len(lines), len(lines[-1]) + 1)
    what = re.sub(r" \(at .*\)$", "", reason)
    start = max(0, column - _SHOWN_WIDTH // 2)
    # A tab is one column to tomllib, and so must it be here for the mark to stand right.
    offending = clean(lines[line - 1].rstrip("\r").replace("\t", " ")[start : start + _SHOWN_WIDTH])
    return f"{shown}: line {line}, column {column}: {clean(what)}\n  {offending}\n  {' ' * (column - 1 - start)}^"
