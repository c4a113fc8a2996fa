"""A run from the command line: with the screen, as plain lines, or in a process of its own."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import TYPE_CHECKING

from bsmon.cli.come_back import come_back
from bsmon.cli.ending import conclude, say
from bsmon.cli.launcher import Tether
from bsmon.cli.setup import Start
from bsmon.store.run_dir import RunDir

if TYPE_CHECKING:
    from bsmon.session.live import LiveSession


def in_plain_lines(start: Start, interval: float, *, as_json: bool) -> int:
    """Train and print; return the exit status."""
    from bsmon.cli.plain import run_headless

    session = _session(start)
    run_headless(session, start.run_dir, interval_s=interval, as_json=as_json)
    return conclude(session.snapshot(), start.run_dir, resumed=start.resume)


def on_screen(start: Start, tether: Tether) -> int:
    """Train with the screen; return the exit status."""
    from bsmon.cli.screen import run_screen

    session = _session(start)
    run_screen(session, start.config.ui, start.run_dir, tether)
    return conclude(session.snapshot(), start.run_dir, resumed=start.resume)


def apart(begin: Callable[[], Start], theme: str | None, *, attached: bool) -> int:
    """Train in a process that needs no terminal, and attach to it if wanted; return the exit status."""
    from bsmon.cli.detach import Announce, start_apart, train_apart

    def child(announce: Announce) -> int:
        start = begin()
        session = _session(start)
        train_apart(session, start.run_dir, announce)
        return conclude(session.snapshot(), start.run_dir, resumed=start.resume)

    result = start_apart(child)
    if isinstance(result, int):
        return result
    run = RunDir.open(result)
    say(f"bsmon: training without a terminal. {come_back(run)}")
    if attached:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # the viewer goes with its terminal
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
