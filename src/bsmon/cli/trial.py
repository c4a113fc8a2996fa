"""What the commands share that build a config's task without training it for good."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bsmon.cli.ending import EXIT_FAILED, clean_lines
from bsmon.core.errors import BadInput

if TYPE_CHECKING:
    from bsmon.cli.progress import Progress
    from bsmon.config.schema import Config
    from bsmon.engine.build import Parts


@contextmanager
def own_code() -> Iterator[None]:
    """Run the config's own code: what it prints goes to stderr, an error of it ends the command with its traceback.

    So that stdout holds the command's answer alone, and no escape code in an exception reaches the terminal.
    """
    try:
        with redirect_stdout(sys.stderr):
            yield
    except (BadInput, click.ClickException):
        raise
    except Exception as error:  # whatever the person's code raises
        click.echo(clean_lines(traceback.format_exc()), err=True, nl=False)
        raise click.exceptions.Exit(EXIT_FAILED) from error


def built(path: Path, overrides: Sequence[str], progress: Progress) -> Parts:
    """The parts of the config's training. Imports torch and the config's own code. Raises BadInput."""
    from bsmon.config.load import load

    config = _with_one_rank(load(path, overrides))
    progress.tell("importing torch")
    from bsmon.engine.build import build

    return build(config, progress.tell)


def _with_one_rank(config: Config) -> Config:
    """The config as these commands train it, saying so where a run would have several ranks."""
    from msgspec.structs import replace

    if config.run.world_size == 1:
        return config
    text = f"bsmon: run.world_size = {config.run.world_size} is for bsmon train; here one rank trains the whole batch"
    click.echo(text, err=True)
    return replace(config, run=replace(config.run, world_size=1))


def check_sizes(path: Path, sizes: Sequence[int], parts: Parts) -> None:
    """Raise BadInput, before anything is trained, where a batch would be larger than the training set."""
    samples = parts.info.train_samples or 0
    if max(sizes) > samples:
        raise BadInput(f"{path}: a batch of {max(sizes):,} is more than the {samples:,} training samples")
