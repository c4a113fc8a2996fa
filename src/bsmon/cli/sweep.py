"""`bsmon sweep`: the same training at several batch sizes, side by side."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bsmon.cli import options
from bsmon.cli.progress import Progress
from bsmon.cli.trial import built, check_sizes, own_code
from bsmon.core.errors import BadInput

if TYPE_CHECKING:
    from bsmon.engine.build import Parts
    from bsmon.trials.sweep import Plan, Row


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--set", "overrides", multiple=True, metavar="SECTION.KEY=VALUE", help="As in bsmon train.")
@click.option("--light", is_flag=True, help="16, 32 and 64: enough to see whether 32 is in a good range (B section 5).")
@click.option(
    "--sizes", type=options.sizes, metavar="N,N,...", help="Sizes to run [default: 8 to 256, as far as fits]."
)
@click.option(
    "--epochs",
    type=options.positive,
    default="3",
    show_default=True,
    metavar="X",
    help="Passes over the data, each size.",
)
@click.option(
    "--sharpness", is_flag=True, help="Also measure how sharp the minimum is that each size found (C part 8)."
)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def sweep(
    config: Path,
    overrides: tuple[str, ...],
    sizes: tuple[int, ...] | None,
    epochs: float,
    *,
    light: bool,
    sharpness: bool,
    as_json: bool,
) -> None:
    """Train CONFIG's task shortly at several batch sizes, and compare.

    Every size sees the same samples from the same start; its learning rate follows from the config's by rule, without
    the schedule. Leaves nothing behind.
    """
    if light and sizes:
        raise BadInput("--light stands for --sizes 16,32,64; give one of the two")
    plan, rows = _run(config, overrides, sizes, epochs, light=light, sharpness=sharpness)
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(row) for row in rows], indent=2))
        return
    from bsmon.cli.sweep_table import report

    for line in report(plan, rows):
        click.echo(line)


def _run(
    path: Path,
    overrides: tuple[str, ...],
    sizes: tuple[int, ...] | None,
    epochs: float,
    *,
    light: bool,
    sharpness: bool,
) -> tuple[Plan, list[Row]]:
    with own_code(), Progress() as progress:
        parts = built(path, overrides, progress)
        from bsmon.engine.gradient_moments import GradientMoments
        from bsmon.engine.trial import Trial
        from bsmon.trials import sweep as trials

        wanted = sizes or _usual(parts, trials.LIGHT if light else trials.FULL)
        check_sizes(path, wanted, parts)
        moments = GradientMoments(parts.model.parameters())
        trial = Trial(parts, moments)
        samples = max(1, round(epochs * trial.samples))
        plan = trials.Plan(wanted, samples, trials.learning_rate_rule(trial), sharpness)
        try:
            return plan, trials.sweep(
                trial, moments, plan, lambda size, seen, loss: _tell(progress, size, seen / samples, loss)
            )
        finally:
            trial.close()


def _usual(parts: Parts, sizes: Sequence[int]) -> tuple[int, ...]:
    """These sizes as far as the data go."""
    samples = parts.info.train_samples or 0
    return tuple(size for size in sizes if size <= samples) or (samples,)


def _tell(progress: Progress, size: int, share: float, loss: float) -> None:
    progress.tell(f"batch {size}: {min(1, share):4.0%}, loss {loss:.4g}")
