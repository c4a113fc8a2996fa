"""`bsmon train`: the main job."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from bsmon.core.snapshot import RunState, Snapshot

EXIT_FAILED = 1
EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.option(
    "--set", "overrides", multiple=True, metavar="SECTION.KEY=VALUE", help="Change one setting; may be repeated."
)
@click.option("--device", metavar="NAME", help='Where to train: "auto", "cpu", "cuda:0", ... (as run.device).')
@click.option("--headless", is_flag=True, help="Plain lines instead of the screen; so too when output is no terminal.")
@click.option("--json", "as_json", is_flag=True, help="Headless, as JSON lines.")
@click.option(
    "--interval",
    type=click.FloatRange(min=0.1),
    default=5.0,
    show_default=True,
    metavar="SECONDS",
    help="Headless: time between lines.",
)
@click.option("--theme", metavar="NAME", help="Colour theme: a name, or the path of a .toml file (as ui.theme).")
def train(
    config: Path,
    overrides: tuple[str, ...],
    device: str | None,
    *,
    headless: bool,
    as_json: bool,
    interval: float,
    theme: str | None,
) -> int:
    """Train as CONFIG says, live on the screen.

    Press ? there for the keys. Without a terminal (a pipe, nohup, CI) it prints plain lines.

    Exit status: 0 finished, 1 failed, 2 bad input, 130 interrupted before the end.
    """
    from bsmon.config.load import load
    from bsmon.session.live import LiveSession
    from bsmon.session.training import make_sampler
    from bsmon.session.training import train as train_body

    changes = [*overrides]
    if device is not None:
        changes.append(f'run.device="{device}"')
    if theme is not None:
        changes.append(f'ui.theme="{theme}"')
    settings = load(config, changes)
    session = LiveSession(settings, train_body, make_sampler, Path("/tmp/bsmon-run"))
    if headless or as_json or not (sys.stdin.isatty() and sys.stdout.isatty()):
        from bsmon.cli.plain import run_headless

        run_headless(session, interval_s=interval, as_json=as_json)
    else:
        from bsmon.cli.screen import run_screen

        run_screen(session, settings.ui)
    return conclude(session.snapshot())


def conclude(last: Snapshot) -> int:
    """Say what the person must know after the screen is gone, and return the exit status."""
    if last.failure is not None:
        if last.failure.bad_input:
            click.echo(f"bsmon: {last.failure.message}", err=True)
            return EXIT_BAD_INPUT
        click.echo(last.failure.traceback, err=True, nl=False)
        click.echo(f"bsmon: the training failed at step {last.progress.step}: {last.failure.message}", err=True)
        return EXIT_FAILED
    return 0 if last.state is RunState.FINISHED else EXIT_INTERRUPTED
