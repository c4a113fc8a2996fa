"""`bsmon stop`: end a run from anywhere on its machine."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping

import click

from bsmon.cli.run_argument import run_argument, shown
from bsmon.core.errors import BadInput

_EXIT_STILL_RUNNING = 1
_LOOK_EVERY_S = 0.2


@click.command()
@run_argument
@click.option(
    "--wait",
    "patience_s",
    type=click.FloatRange(min=0),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for the end.",
)
def stop(run: str | None, *, patience_s: float) -> int:
    """Ask RUN to save a checkpoint and end, and wait until it has.

    RUN is a folder, a name under runs/ or a part of one; the newest live run unless given. Exit status: 0 it has
    ended, 1 it is still running after the wait, 2 it is not running here.
    """
    from bsmon.store.runs import Standing, all_runs, find_run, standing

    if run is None:
        live = next((found for found in all_runs() if standing(found) is Standing.LIVE), None)
        if live is None:
            raise BadInput("no run under runs/ is live")
        target = live
    else:
        target = find_run(run)
    name = shown(target.path.name)
    if not ask_to_end(target.record):
        raise BadInput(f"{name} is not running on this machine (it is {standing(target).value}); see bsmon runs")
    click.echo(f"asked {name} to save and end; waiting", err=True)
    if not _ended(target.record, patience_s):
        click.echo(f"bsmon: {name} is still running after {patience_s:g} s; bsmon stop asks again", err=True)
        return _EXIT_STILL_RUNNING
    click.echo(f"{name}: {standing(target).value}")
    return 0


def ask_to_end(record: Mapping[str, object]) -> bool:
    """Send SIGTERM to the process of a run.json; False where that very process is not running here."""
    from bsmon.store.provenance import is_running

    process = record.get("process")
    if not is_running(record) or not isinstance(process, dict):
        return False
    try:
        # The descriptor stands for this very process: between the look and the signal its pid may be taken again.
        descriptor = os.pidfd_open(process["pid"])
    except (AttributeError, OSError):
        return False
    try:
        if not is_running(record):
            return False
        signal.pidfd_send_signal(descriptor, signal.SIGTERM)
    except PermissionError:
        raise BadInput("the run belongs to another user; only they can stop it") from None
    except ProcessLookupError:
        return False
    finally:
        os.close(descriptor)
    return True


def _ended(record: Mapping[str, object], patience_s: float) -> bool:
    from bsmon.store.provenance import is_running

    until = time.monotonic() + patience_s
    while is_running(record):
        if time.monotonic() >= until:
            return False
        time.sleep(_LOOK_EVERY_S)
    return True
