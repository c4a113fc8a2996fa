"""`bsmon train`: the main job."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bsmon.cli.come_back import come_back
from bsmon.cli.launcher import Tether, launch
from bsmon.cli.setup import NEWEST, Start, prepare
from bsmon.config.values import toml_value
from bsmon.core.snapshot import RunState, Snapshot
from bsmon.core.text import clean
from bsmon.store.run_dir import RunDir

if TYPE_CHECKING:
    from bsmon.session.live import LiveSession

EXIT_FAILED = 1
EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.option(
    "--set", "overrides", multiple=True, metavar="SECTION.KEY=VALUE", help="Change one setting; may be repeated."
)
@click.option("--device", metavar="NAME", help='Where to train: "auto", "cpu", "cuda:0", ... (as run.device).')
@click.option(
    "--resume",
    metavar="[RUN]",
    is_flag=False,
    flag_value=NEWEST,
    help="Go on from a run's last checkpoint: the folder RUN, or the newest run of this name.",
)
@click.option(
    "--replay",
    metavar="RUN",
    help="Repeat the interventions of RUN (batch sizes, learning rates, undo) at their steps.",
)
@click.option(
    "--run-dir", type=click.Path(path_type=Path), metavar="DIR", help="The run's folder [default: runs/<name>-<time>]."
)
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
@click.option(
    "--detach",
    is_flag=True,
    help="Train in a process of its own that needs no terminal, and attach to it (with --headless: do not attach).",
)
@click.option("--theme", metavar="NAME", help="Colour theme: a name, or the path of a .toml file (as ui.theme).")
def train(
    config: Path,
    overrides: tuple[str, ...],
    device: str | None,
    resume: str | None,
    replay: str | None,
    run_dir: Path | None,
    *,
    headless: bool,
    as_json: bool,
    interval: float,
    detach: bool,
    theme: str | None,
) -> int:
    """Train as CONFIG says, live on the screen.

    Press ? there for the keys. Without a terminal (a pipe, nohup, CI) it prints plain lines. Everything about the run
    is kept in its folder: config, checkpoints, what was printed.

    The training outlives its terminal: d leaves the screen, a lost connection closes it, and bsmon attach brings it
    back. SIGTERM and SIGINT save a checkpoint and end the run.

    Exit status: 0 finished, or left with d; 1 failed; 2 bad input; 130 interrupted before the end.
    """

    def begin() -> Start:
        return prepare(config, [*overrides, *_short_overrides(device, theme)], resume, run_dir, replay)

    has_screen = not (headless or as_json) and sys.stdin.isatty() and sys.stdout.isatty()
    if detach:
        return _apart(begin, theme, attached=has_screen)
    if has_screen:
        return launch(lambda tether: _on_screen(begin(), tether))
    return _in_plain_lines(begin(), interval, as_json=as_json)


def _in_plain_lines(start: Start, interval: float, *, as_json: bool) -> int:
    from bsmon.cli.plain import run_headless

    session = _session(start)
    run_headless(session, start.run_dir, interval_s=interval, as_json=as_json)
    return conclude(session.snapshot(), start.run_dir)


def _on_screen(start: Start, tether: Tether) -> int:
    from bsmon.cli.screen import run_screen

    session = _session(start)
    run_screen(session, start.config.ui, start.run_dir, tether)
    return conclude(session.snapshot(), start.run_dir)


def _apart(begin: Callable[[], Start], theme: str | None, *, attached: bool) -> int:
    from bsmon.cli.detach import Announce, start_apart, train_apart

    def child(announce: Announce) -> int:
        start = begin()
        session = _session(start)
        train_apart(session, start.run_dir, announce)
        return conclude(session.snapshot(), start.run_dir)

    result = start_apart(child)
    if isinstance(result, int):
        return result
    run = RunDir.open(result)
    click.echo(f"bsmon: training without a terminal. {come_back(run)}", err=True)
    if attached:
        from bsmon.cli.attach import attach_to

        attach_to(run, control=True, theme=theme)
    return 0


def _session(start: Start) -> LiveSession:
    from bsmon.session.journaling import JournalSink
    from bsmon.session.live import LiveSession
    from bsmon.session.training import Training, make_sampler

    body = Training(start.run_dir.checkpoints_path, start.resume, start.changed, start.script)
    journal = JournalSink(start.run_dir.journal_path)
    return LiveSession(start.config, body, make_sampler, run_dir=str(start.run_dir.path), journal=journal)


def _short_overrides(device: str | None, theme: str | None) -> list[str]:
    given = {"run.device": device, "ui.theme": theme}
    return [f"{key}={toml_value(value)}" for key, value in given.items() if value is not None]


def conclude(last: Snapshot, run_dir: RunDir) -> int:
    """Say what the person must know after the screen is gone, and return the exit status."""
    with contextlib.suppress(OSError):  # a full disk must not hide how the run ended
        run_dir.update(status=last.state.value, step=last.progress.step)
    failure = last.failure
    if failure is not None and failure.bad_input:
        click.echo(f"bsmon: {failure.message}", err=True)
        return EXIT_BAD_INPUT
    if failure is not None:
        click.echo(clean_lines(failure.traceback), err=True, nl=False)
        click.echo(f"bsmon: the training failed at step {last.progress.step}: {clean(failure.message)}", err=True)
        return EXIT_FAILED
    return 0 if last.state is RunState.FINISHED else EXIT_INTERRUPTED


def clean_lines(text: str) -> str:
    """A text of several lines, safe for a terminal, its line breaks kept."""
    return "".join(f"{clean(line)}\n" for line in text.splitlines())
