"""`bsmon export`: a run's numbers for other programs."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

import click

from bsmon.cli.run_argument import run_argument, shown
from bsmon.core.errors import BadInput

_FORMATS = ("csv", "json", "parquet", "tensorboard")


@click.command()
@run_argument
@click.option("--format", "form", type=click.Choice(_FORMATS), default="csv", show_default=True)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help='Where to write it; "-" prints csv and json. [default: RUN.csv and so on; a folder for tensorboard]',
)
def export(run: str | None, *, form: str, output: Path | None) -> None:
    """Write RUN's numbers: one row an update with loss, learning rate, batch size, times, gradients, validation.

    json adds events, evaluations, hardware and advice. RUN is a folder, a name under runs/ or a part of one; the
    newest run unless given.
    """
    from bsmon.store.runs import find_run

    found = find_run(run)
    journal = found.journal_path
    if not journal.exists():
        raise BadInput(f"{shown(found.path.name)} has no journal: nothing was recorded")
    path = output or Path(found.path.name + ("-tensorboard" if form == "tensorboard" else f".{form}"))
    try:
        _write(form, journal, path)
    except BrokenPipeError:  # whoever read it has had enough: nothing is wrong
        raise
    except OSError as error:
        raise BadInput(f"cannot write {shown(path)}: {error.strerror or error}") from error
    if str(path) != "-":
        click.echo(f"wrote {shown(path)}")


def _write(form: str, journal: Path, path: Path) -> None:
    from bsmon.store.export.parquet import write_parquet
    from bsmon.store.export.tensorboard import write_tensorboard
    from bsmon.store.export.text import write_csv, write_json

    writers: dict[str, Callable[[Path, TextIO], None]] = {"csv": write_csv, "json": write_json}
    if form in writers:
        with _text_file(path) as out:
            writers[form](journal, out)
    elif str(path) == "-":
        raise BadInput(f"{form} cannot be printed; give a path with -o")
    elif form == "parquet":
        with _part(path) as part:
            write_parquet(journal, part)
    else:
        write_tensorboard(journal, path)


@contextlib.contextmanager
def _text_file(path: Path) -> Iterator[TextIO]:
    if str(path) == "-":
        yield sys.stdout
        return
    with _part(path) as part, part.open("w", encoding="utf-8", errors="replace", newline="") as out:
        yield out


@contextlib.contextmanager
def _part(path: Path) -> Iterator[Path]:
    """A path beside `path` that takes its place when all is written: nobody finds half a file."""
    part = path.with_name(f"{path.name}.part")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
