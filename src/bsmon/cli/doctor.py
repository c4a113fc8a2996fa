"""`bsmon doctor`: what is here, for a person and for a bug report."""

from __future__ import annotations

import json
import os
import platform
import sys

import click

from bsmon import __version__

_MARKS = {"ok": "ok", "absent": "--", "broken": "!!"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def doctor(*, as_json: bool) -> None:
    """Print what bsmon found: torch, CUDA, NVML, GPUs, the host, the terminal.

    Takes a few seconds: it imports torch.
    """
    from bsmon.telemetry.sources import sources

    if not as_json and sys.stderr.isatty():
        click.echo("looking (importing torch takes a moment) ...", err=True)
    found = [*_program(), *((source.name, source.state, source.detail) for source in sources()), *_terminal()]
    if as_json:
        rows = [{"name": name, "state": state, "detail": detail} for name, state, detail in found]
        click.echo(json.dumps(rows, indent=2))
        return
    width = max(len(name) for name, _, _ in found)
    for name, state, detail in found:
        click.echo(f"{_MARKS[state]:2}  {name:{width}}  {detail}")


def _program() -> list[tuple[str, str, str]]:
    return [
        ("bsmon", "ok", __version__),
        ("python", "ok", f"{platform.python_version()} at {sys.executable}"),
        ("system", "ok", platform.platform()),
    ]


def _terminal() -> list[tuple[str, str, str]]:
    if not sys.stdout.isatty():
        return [("terminal", "absent", "output is no terminal; bsmon train would print plain lines")]
    size = os.get_terminal_size(sys.stdout.fileno())
    names = ("TERM", "COLORTERM", "LANG", "LC_ALL", "NO_COLOR", "TMUX", "SSH_TTY")
    environment = " ".join(f"{name}={os.environ[name]}" for name in names if name in os.environ)
    encoding = sys.stdout.encoding
    return [("terminal", "ok", f"{size.columns}x{size.lines}, {encoding}, {environment}")]
