"""`bsmon attach`: a training that goes on elsewhere, on this terminal."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from bsmon.cli.run_argument import run_argument, shown
from bsmon.core.errors import BadInput

if TYPE_CHECKING:
    from bsmon.cli.attached_session import AttachedSession
    from bsmon.store.run_dir import RunDir


@click.command()
@run_argument
@click.option("--control", is_flag=True, help="May change the run; without it the screen only looks on.")
@click.option("--theme", metavar="NAME", help="Colour theme: a name, or the path of a .toml file.")
def attach(run: str | None, *, control: bool, theme: str | None) -> None:
    """Show a run that trains now: its whole history at once, then live.

    RUN is a folder, a name under runs/ or a part of one; the newest live run unless given. q and d leave and do not
    touch the run; with --control q asks whether to stop it. From another machine that sees the run's folder the
    screen only looks on, through the files.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise BadInput("bsmon attach needs a terminal; bsmon log RUN -f prints lines")
    attach_to(live_run(run), control=control, theme=theme)


def live_run(name: str | None) -> RunDir:
    """The live run meant by `name`, the newest where there is none. Raises BadInput for one that does not train."""
    from bsmon.store.runs import Standing, all_runs, find_run, standing

    if name is None:
        live = next((run for run in all_runs() if standing(run) is Standing.LIVE), None)
        if live is None:
            raise BadInput("no run under runs/ trains now; bsmon show opens the newest that did")
        return live
    run = find_run(name)
    now = standing(run)
    if now not in (Standing.LIVE, Standing.UNKNOWN):
        raise BadInput(f"{shown(run.path.name)} does not train now (it is {now.value}); bsmon show opens it")
    return run


def attach_to(run: RunDir, *, control: bool, theme: str | None) -> None:
    """Show the screen until the person leaves or the run has ended. Raises BadInput."""
    from bsmon.cli.attached_app import AttachedApp
    from bsmon.cli.attached_session import AttachedSession
    from bsmon.config.schema import Ui
    from bsmon.ui.themes import choose_theme

    chosen = choose_theme(theme or Ui().theme, os.environ)
    session = AttachedSession(run, control=control)
    app = AttachedApp(session, theme=chosen, may_control=session.may_control)
    try:
        app.run(mouse=False)
    finally:
        session.close()
    click.echo(f"bsmon: {_left(run, session)}", err=True)


def _left(run: RunDir, session: AttachedSession) -> str:
    state, name = session.snapshot().state, shown(run.path.name)
    if state.ended:
        return f"{name} has ended ({state.value}); bsmon show {name} opens it"
    return f"left {name} as it is; it goes on"
