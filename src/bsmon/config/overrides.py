"""`--set section.key=value`: values from the command line, laid over those of the file."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence

from bsmon.config.problems import Key, Problems
from bsmon.config.sections import home_of, section_kinds

Table = dict[str, object]


def apply_overrides(table: Table, overrides: Sequence[str], problems: Problems) -> frozenset[Key]:
    """Change `table` in place and return the keys that came in. A later override of the same key wins."""
    return frozenset(key for text in overrides for key in _apply(table, text, problems))


def value_of(text: str) -> object:
    """`text` as a TOML value; what is no TOML is a bare string, so that --set run.device=cpu needs no quotes."""
    try:
        table = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):  # ValueError: no TOML, or an integer of thousands of digits
        return text
    # A line end in the text would smuggle in further keys.
    return table["value"] if len(table) == 1 else text


def _apply(table: Table, text: str, problems: Problems) -> list[Key]:
    """The key that `text` sets, and the tables that were made for it."""
    name, equals, value = text.partition("=")
    key = tuple(part.strip() for part in name.split("."))
    if not equals or len(key) < 2 or not all(key):
        problems.add((), f"--set {text}: expected section.key=value{_example(name.strip())}")
        return []
    inner, new = table, [key]
    for depth, part in enumerate(key[:-1], start=1):
        if part not in inner:
            new.append(key[:depth])
        found = inner.setdefault(part, {})
        if not isinstance(found, dict):
            problems.add((), f"--set {text}: {part} is a value, so no key can be set in it")
            return []
        inner = found
    inner[key[-1]] = value_of(value.strip())
    return new


def _example(name: str) -> str:
    home = home_of(name, outside="")
    if home is not None:
        return f"; did you mean {home}=...?"
    if name in section_kinds():
        return f", like {name}.{next(iter(section_kinds()[name].all_keys()))}=..."
    return ", like batch.size=64"
