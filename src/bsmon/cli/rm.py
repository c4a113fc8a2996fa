"""`bsmon rm`: remove a run's folder."""

from __future__ import annotations

import shutil

import click

from bsmon.cli.run_argument import shown
from bsmon.core.errors import BadInput


@click.command()
@click.argument("run")
@click.option("--yes", is_flag=True, help="Do not ask.")
def rm(run: str, *, yes: bool) -> int:
    """Remove RUN: its journal, checkpoints and log. Asks first; a live run is refused.

    RUN is a folder, a name under runs/ or a part of one that only one run has.
    """
    from bsmon.store.runs import Standing, find_run, standing

    target = find_run(run, only=True)
    shown_path = shown(target.path)
    how = standing(target)
    if how is Standing.LIVE:
        raise BadInput(f"{shown_path} is live; bsmon stop {shown(target.path.name)} ends it first")
    if target.path.is_symlink():
        raise BadInput(f"{shown_path} is a link; remove what it leads to, or the link, by hand")
    if how is Standing.UNKNOWN:
        click.echo("bsmon: whether it still runs on another machine cannot be seen from here", err=True)
    if not yes and not click.confirm(f"Remove {shown_path} ({how.value}) with its checkpoints?", err=True):
        click.echo("nothing was removed", err=True)
        return 1
    try:
        shutil.rmtree(target.path)
    except OSError as error:
        raise BadInput(f"{shown_path} cannot be removed: {error.strerror or error}") from error
    click.echo(f"removed {shown_path}")
    return 0
