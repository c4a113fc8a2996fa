"""`bsmon log`: what a run printed."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import click

from bsmon.cli.run_argument import run_argument, shown
from bsmon.core.errors import BadInput
from bsmon.core.files import open_regular
from bsmon.core.text import clean

_TAIL_BYTES = 8 << 20  # of a log of any size, the last lines are looked for in this much
_LOOK_EVERY_S = 0.5


@click.command()
@run_argument
@click.option("-f", "--follow", is_flag=True, help="Go on with what is printed from now on, until Ctrl-C.")
@click.option("-n", "--lines", type=click.IntRange(min=0), default=100, show_default=True, help="The last N lines.")
def log(run: str | None, *, follow: bool, lines: int) -> None:
    """Show what RUN's code, libraries and workers printed while the screen was up.

    RUN is a folder, a name under runs/ or a part of one; the newest run unless given.
    """
    from bsmon.store.runs import find_run

    path = find_run(run).log_path
    if not path.exists():
        click.echo(f"{shown(path)}: nothing was printed", err=True)
        if not follow:
            return
    position = _show_tail(path, lines)
    while follow:
        time.sleep(_LOOK_EVERY_S)
        for text, end in _new_lines(path, position):
            click.echo(text)
            position = end


def _show_tail(path: Path, lines: int) -> int:
    """Print the last lines; return where the next one begins."""
    size = path.stat().st_size if path.exists() else 0
    found = list(_new_lines(path, max(0, size - _TAIL_BYTES)))
    for text, _ in found[-lines:] if lines else ():
        click.echo(text)
    return found[-1][1] if found else 0


def _new_lines(path: Path, position: int) -> Iterator[tuple[str, int]]:
    """Whole lines from `position` on, safe for a terminal, each with the position after it."""
    try:
        descriptor = open_regular(path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise BadInput(f"{shown(path)} cannot be read: {error.strerror or error}.") from error
    with os.fdopen(descriptor, "rb") as file:
        file.seek(position)
        for line in file:
            if not line.endswith(b"\n"):
                break
            position += len(line)
            yield clean(line.decode("utf-8", "replace").rstrip("\r\n")), position
