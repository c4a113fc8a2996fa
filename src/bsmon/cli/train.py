"""`bsmon train`: the main job."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from bsmon.cli.launcher import launch, outlive_hang_ups

NEWEST = "newest"
"""What `--resume` without a run means."""


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
    help="Repeat the interventions of RUN (by hand, by the advisor, taken back) at their steps.",
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
    outlive_hang_ups()
    from bsmon.cli.running import apart, in_plain_lines, on_screen
    from bsmon.cli.setup import Start, prepare

    def begin() -> Start:
        return prepare(config, [*overrides, *_short_overrides(device, theme)], resume, run_dir, replay)

    has_screen = not (headless or as_json) and sys.stdin.isatty() and sys.stdout.isatty()
    if detach:
        return apart(begin, theme, attached=has_screen)
    if has_screen:
        return launch(lambda tether: on_screen(begin(), tether))
    return in_plain_lines(begin(), interval, as_json=as_json)


def _short_overrides(device: str | None, theme: str | None) -> list[str]:
    given = {"run.device": device, "ui.theme": theme}
    # A JSON string is a TOML string, too.
    return [f"{key}={json.dumps(value)}" for key, value in given.items() if value is not None]
