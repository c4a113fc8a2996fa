"""`bsmon runs`: what was trained here, and how each run stands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bsmon.cli.run_argument import age, finite, number, shown

if TYPE_CHECKING:
    from bsmon.store.run_summary import RunSummary

_HEADER = ("RUN", "STATE", "EPOCH", "STEP", "LOSS", "VALID.", "BATCH", "AGE")
_MOST_SIZES = 6
_RIGHT = (2, 3, 4, 5, 7)  # columns of numbers


@click.command()
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.argument("folder", type=click.Path(path_type=Path), default=Path("runs"))
def runs(folder: Path, *, as_json: bool) -> None:
    """List the runs in FOLDER (runs/ unless given), newest first.

    STATE is live, finished, stopped, failed, lost (its process is gone and never said how it ended; bsmon train
    --resume goes on with it) or unknown (it runs, or ran, on another machine).
    """
    from bsmon.store.run_summary import summarise
    from bsmon.store.runs import all_runs

    summaries = [summarise(run) for run in all_runs(folder)]
    if as_json:
        click.echo(json.dumps([_plain(summary) for summary in summaries], indent=1))
        return
    if not summaries:
        click.echo(f"no runs under {shown(folder)}/; bsmon train CONFIG makes one")
        return
    for line in _table([_HEADER, *(_row(summary) for summary in summaries)]):
        click.echo(line)


def batch_path(sizes: tuple[int, ...]) -> str:
    """The batch sizes that a run had: 32>64>128."""
    texts = [str(size) for size in sizes]
    if len(texts) > _MOST_SIZES:
        texts = [texts[0], "..", *texts[-_MOST_SIZES + 2 :]]
    return ">".join(texts) or "n/a"


def _row(summary: RunSummary) -> tuple[str, ...]:
    epochs = "" if summary.epochs is None else f"/{summary.epochs}"
    return (
        shown(summary.name),
        summary.standing.value,
        "n/a" if summary.epoch is None else f"{summary.epoch}{epochs}",
        number(summary.step, ","),
        number(summary.loss),
        number(summary.validation_loss),
        batch_path(summary.batch_sizes),
        age(summary.age_s),
    )


def _table(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADER))]
    return [
        "  ".join(
            f"{cell:>{width}}" if column in _RIGHT else f"{cell:{width}}"
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _plain(summary: RunSummary) -> dict[str, object]:
    return {
        "name": shown(summary.name),
        "state": summary.standing.value,
        "folder": shown(summary.folder),
        "started": summary.started,
        "epoch": summary.epoch,
        "epochs": summary.epochs,
        "step": summary.step,
        "loss": summary.loss,
        "validation_loss": finite(summary.validation_loss),
        "batch_sizes": list(summary.batch_sizes),
    }
