"""`bsmon lr-find`: the guidelines' learning rate range test on the real task."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bsmon.cli import options
from bsmon.cli.progress import Progress
from bsmon.cli.trial import built, check_sizes, own_code
from bsmon.core.errors import BadInput

if TYPE_CHECKING:
    from bsmon.trials.lr_find import RangeTest

_FEWEST_STEPS = 20


@click.command("lr-find")
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--set", "overrides", multiple=True, metavar="SECTION.KEY=VALUE", help="As in bsmon train.")
@click.option(
    "--batch-size", "sizes", type=options.sizes, metavar="N,N,...", help="Sizes to test [default: batch.size]."
)
@click.option("--from", "low", type=options.positive, default="1e-6", show_default=True, metavar="LR", help="Lowest.")
@click.option("--to", "high", type=options.positive, default="10", show_default=True, metavar="LR", help="Highest.")
@click.option(
    "--steps",
    type=click.IntRange(min=_FEWEST_STEPS),
    default=200,
    show_default=True,
    metavar="N",
    help="Updates from lowest to highest.",
)
@click.option("--json", "as_json", is_flag=True, help="As JSON, with every learning rate and loss.")
def lr_find(
    config: Path,
    overrides: tuple[str, ...],
    sizes: tuple[int, ...] | None,
    low: float,
    high: float,
    steps: int,
    *,
    as_json: bool,
) -> None:
    """Find a learning rate: raise it update by update and watch the loss (C part 10).

    Suggests where the loss falls fastest, for each batch size. Trains CONFIG's task for some hundred updates from its
    start, without its schedule; leaves nothing behind.
    """
    if low >= high:
        raise BadInput(f"--from {low:g} must be below --to {high:g}")
    tests = _tests(config, overrides, sizes, (low, high, steps))
    if as_json:
        click.echo(json.dumps([_plain(test) for test in tests], indent=2))
        return
    from bsmon.cli.lr_chart import report

    for line in report(tests, steps):
        click.echo(line)


def _tests(
    path: Path, overrides: tuple[str, ...], sizes: tuple[int, ...] | None, span: tuple[float, float, int]
) -> list[RangeTest]:
    with own_code(), Progress() as progress:
        parts = built(path, overrides, progress)
        wanted = sizes or (parts.config.batch.size,)
        check_sizes(path, wanted, parts)
        from bsmon.engine.trial import Trial
        from bsmon.trials.lr_find import ramp, range_test

        rates = ramp(*span)
        trial = Trial(parts)
        try:
            tell = partial(_tell, progress, rates)
            return [range_test(trial, size, rates, tell) for size in wanted]
        finally:
            trial.close()


def _tell(progress: Progress, rates: Sequence[float], size: int, done: int, loss: float) -> None:
    progress.tell(f"batch {size}: update {done} of {len(rates)}, learning rate {rates[done - 1]:.2g}, loss {loss:.4g}")


def _plain(test: RangeTest) -> dict[str, object]:
    """As plain values; a loss that is no number is null, which JSON has no word for."""
    return {
        "batch_size": test.batch_size,
        "suggestion": test.suggestion,
        "exploded": test.exploded,
        "learning_rates": list(test.learning_rates),
        "losses": [loss if abs(loss) < float("inf") else None for loss in test.losses],
    }
