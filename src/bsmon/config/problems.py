"""What is wrong with a config, gathered so that one message can name it all."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from bsmon.config.values import toml_key, toml_value
from bsmon.core.errors import BadInput
from bsmon.core.text import clean

_LONGEST_VALUE = 60  # characters shown of a value: enough to know it again

Key = tuple[str, ...]
"""Where a value stands: ("batch", "size"). The empty key is the file itself."""


class Nothing:
    """Stands for the value of a key that is not there, as TOML has no such value."""


NOTHING = Nothing()


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: the key, its value, and one sentence."""

    key: Key
    text: str
    value: object = NOTHING


@dataclass(slots=True)
class Problems:
    """All problems of one file. `overridden`: keys that came from the command line (--set, --device), not from it."""

    path: Path
    overridden: Collection[Key] = ()
    found: list[Problem] = field(default_factory=list)

    def add(self, key: Key, text: str, value: object = NOTHING) -> None:
        """Note a problem."""
        self.found.append(Problem(key, text, value))

    def extend(self, problems: Iterable[Problem]) -> None:
        """Note several."""
        self.found.extend(problems)

    def raise_if_any(self) -> None:
        """Raise BadInput with one line for each problem."""
        if self.found:
            raise BadInput("\n".join(map(self._line, self.found)))

    def _line(self, problem: Problem) -> str:
        where = f"{self.path} (command line)" if problem.key in self.overridden else str(self.path)
        key = ".".join(map(toml_key, problem.key))
        value = "" if problem.value is NOTHING else f" = {_shortened(problem.value)}"
        return clean(": ".join(part for part in (where, key + value, problem.text) if part))


def _shortened(value: object) -> str:
    text = toml_value(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 3]}..."
