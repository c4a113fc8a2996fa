"""`bsmon check`: a config, or bare numbers, held against the guidelines. Nothing is trained."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bsmon.cli import options
from bsmon.cli.trial import own_code
from bsmon.core.errors import BadInput

if TYPE_CHECKING:
    from bsmon.advisor.checks import Outcome, Setup
    from bsmon.cli.check_report import Line

EXIT_FOUND = 1
_WIDEST = 110  # longer lines are hard to read
_COUNT = click.IntRange(min=1)


@click.command()
@click.argument("config", type=click.Path(path_type=Path), required=False)
@click.option("--set", "overrides", multiple=True, metavar="SECTION.KEY=VALUE", help="As in bsmon train.")
@click.option("--build", "build_it", is_flag=True, help="Build data and model, which imports torch and your own code.")
@click.option("--dataset-size", type=_COUNT, metavar="N", help="Training samples.")
@click.option("--batch-size", type=_COUNT, metavar="N", help="Samples per weight update.")
@click.option("--micro-batch-size", type=_COUNT, metavar="N", help="Samples per forward pass.")
@click.option("--lr", "learning_rate", type=options.positive, metavar="LR", help="Learning rate.")
@click.option("--optimizer", metavar="NAME", help="Adam, AdamW, SGD, ...; any case.")
@click.option("--domain", type=click.Choice(["images", "text", "other"]), help="What the samples are.")
@click.option("--batchnorm/--no-batchnorm", "has_batchnorm", default=None, help="Whether the model has BatchNorm.")
@click.option("--shuffle/--no-shuffle", default=None, help="Whether every epoch has a new order.")
@click.option("--drop-last/--no-drop-last", default=None, help="Whether a short last batch is left out.")
@click.option("--memory", metavar="SIZE", help="GPU memory, like 8GiB.")
@click.option("--weight-decay", type=click.FloatRange(min=0), metavar="X", help="The optimizer's.")
@click.option("--dropout", type=click.FloatRange(0, 1), metavar="X", help="The model's.")
@click.option("--base-batch-size", type=_COUNT, metavar="N", help="Batch size that the learning rate was tuned at.")
@click.option("--base-lr", "base_learning_rate", type=options.positive, metavar="LR", help="The rate tuned there.")
@click.option("--sizes", type=options.sizes, metavar="N,N,...", help="Rows of the table of batch sizes.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.option("--strict", is_flag=True, help="Warnings count as problems for the exit status.")
def check(
    config: Path | None,
    overrides: tuple[str, ...],
    memory: str | None,
    sizes: tuple[int, ...] | None,
    *,
    build_it: bool,
    as_json: bool,
    strict: bool,
    **given: Any,
) -> int:
    """Hold a training setup against the guidelines, before it trains.

    \b
    bsmon check run.toml
    bsmon check --dataset-size 480 --batch-size 240 --lr 4e-3 --optimizer adam

    The options stand in for a config, or overrule it. A size of your own data is only known with --build.

    Exit status: 0 fine, 1 problems found (with --strict: or warnings), 2 bad input.
    """
    from bsmon.advisor import checks
    from bsmon.cli import check_report

    setup = _setup(config, overrides, memory, given, build_it=build_it)
    found = checks.check(setup)
    title = "bsmon check" if config is None else f"bsmon check {config}"
    table = check_report.size_table(setup, sizes or ())
    if as_json:
        click.echo(json.dumps(check_report.as_json(setup, found, table), indent=2))
    else:
        _print(check_report.lines(title, found, table, _width(), _hint(config, setup)))
    return _status(checks.worst(found), strict=strict)


def _setup(
    path: Path | None, overrides: tuple[str, ...], memory: str | None, given: dict[str, Any], *, build_it: bool
) -> Setup:
    """The config's setup with the options laid over it. Raises BadInput where there is neither."""
    from dataclasses import replace

    from bsmon.advisor.checks import Setup
    from bsmon.config.sizes import parse_bytes

    changes = {name: value for name, value in given.items() if value is not None}
    if memory is not None:
        changes["memory_bytes"] = parse_bytes(memory)
    if path is None and (overrides or build_it):
        raise BadInput("--set and --build go with a config: bsmon check run.toml")
    if path is None and not changes:
        raise BadInput("nothing to check: give a config, or numbers such as --dataset-size 480 --batch-size 32")
    return replace(Setup() if path is None else _of_config(path, overrides, build_it=build_it), **changes)


def _of_config(path: Path, overrides: tuple[str, ...], *, build_it: bool) -> Setup:
    from bsmon.cli.setup_of import built, setup_of
    from bsmon.config.load import load

    config = load(path, overrides)
    setup = setup_of(config)
    if not build_it:
        return setup
    with own_code():
        return built(config, setup)


def _hint(config: Path | None, setup: Setup) -> str:
    if config is None or setup.dataset_size is not None:
        return ""
    return "How large your own data set is only shows when it is built: --build does so, and runs your code."


def _width() -> int:
    return min(shutil.get_terminal_size((_WIDEST, 24)).columns, _WIDEST)


def _print(lines: Iterator[Line]) -> None:
    for line in lines:
        click.echo(_coloured(line.text, line.outcome), color=options.colour())


def _coloured(text: str, outcome: Outcome | None) -> str:
    """The line with its first word in the outcome's colour."""
    shade = {"ok": "green", "warning": "yellow", "problem": "red"}.get(outcome.value if outcome else "")
    word = text.split(maxsplit=1)[0] if text.strip() else ""
    return text.replace(word, click.style(word, fg=shade), 1) if shade and word else text


def _status(worst: Outcome, *, strict: bool) -> int:
    failing = ("problem", "warning") if strict else ("problem",)
    return EXIT_FOUND if worst.value in failing else 0
