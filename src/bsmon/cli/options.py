"""Option types that several commands share: functions for click's `type=`."""

from __future__ import annotations

import math
import os

import click


def sizes(text: str) -> tuple[int, ...]:
    """Batch sizes in one word, "16,32,64": each 1 or more; sorted, each once. Raises click.BadParameter."""
    try:
        found = tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError:
        raise click.BadParameter(f"{text!r} is no list of batch sizes like 16,32,64") from None
    if found[0] < 1:
        raise click.BadParameter(f"a batch has 1 sample or more, got {found[0]}")
    return found


def positive(text: str) -> float:
    """A finite number above 0. Raises click.BadParameter."""
    try:
        number = float(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is no number") from None
    if not (math.isfinite(number) and number > 0):
        raise click.BadParameter(f"{text} is not a finite number above 0")
    return number


def colour() -> bool | None:
    """What click.echo takes: False where NO_COLOR asks for none (no-color.org), else click looks at the terminal."""
    return False if os.environ.get("NO_COLOR") else None
