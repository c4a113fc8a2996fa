"""The argument RUN of the commands over runs."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import click

from bsmon.core.text import clean

Function = Callable[..., Any]


def run_argument(function: Function) -> Function:
    """RUN: a folder, a name under runs/, or a part of one; the newest run unless given."""
    return click.argument("run", required=False)(function)


def shown(text: object) -> str:
    """Text from a file, safe for the terminal."""
    return clean(str(text))


def number(value: float | None, form: str = ".4g") -> str:
    """A number, or n/a."""
    return "n/a" if value is None else f"{value:{form}}"


def finite(value: float | None) -> float | None:
    """A number that JSON has; NaN and infinities are unknown there."""
    return value if value is not None and math.isfinite(value) else None


def age(seconds: float | None) -> str:
    """A time in the one unit that says most: 12s, 3m, 5h, 2d."""
    if seconds is None:
        return "n/a"
    for unit, name in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= unit:
            return f"{seconds / unit:.0f}{name}"
    return f"{seconds:.0f}s"
