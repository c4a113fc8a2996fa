"""`bsmon show`: a run that has ended, on the screen it had while it trained."""

from __future__ import annotations

import os
import sys

import click

from bsmon.cli.run_argument import run_argument, shown
from bsmon.core.errors import BadInput

_LARGE_BYTES = 10 << 20


@click.command()
@run_argument
@click.option("--theme", metavar="NAME", help="Colour theme: a name, or the path of a .toml file.")
def show(run: str | None, *, theme: str | None) -> None:
    """Open RUN on the screen with a cursor over its time: arrow keys, home, end, space plays, < and > change the speed.

    RUN is a folder, a name under runs/ or a part of one; the newest run unless given. A live run is shown as it is
    now; bsmon attach follows it.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise BadInput("bsmon show needs a terminal; bsmon export and bsmon report write files")
    from bsmon.config.schema import Ui
    from bsmon.session.replay import ReplaySession
    from bsmon.store.runs import find_run
    from bsmon.ui.replay_app import ReplayApp
    from bsmon.ui.themes import choose_theme

    found = find_run(run)
    chosen = choose_theme(theme or Ui().theme, os.environ)
    if not found.journal_path.exists():
        raise BadInput(f"{shown(found.path.name)} has no journal: nothing was recorded")
    if found.journal_path.stat().st_size > _LARGE_BYTES:
        click.echo("reading the journal ...", err=True)
    recording = ReplaySession(found)
    ReplayApp(recording, theme=chosen).run(mouse=False)
    if recording.damaged:
        click.echo(f"bsmon: {recording.damaged:,} lines of the journal could not be read", err=True)
