"""Running without a screen: pipes, nohup, CI, and where the screen has failed."""

from __future__ import annotations

import signal
import sys
import threading

from bsmon import headless
from bsmon.cli.serving import Serving
from bsmon.core.commands import Stop
from bsmon.session.live import LiveSession
from bsmon.store.run_dir import RunDir


def run_headless(session: LiveSession, run: RunDir, *, interval_s: float, as_json: bool) -> None:
    """Train and print lines until the end."""
    with Serving(session, run) as serving:
        serving.start()
        follow(session, interval_s=interval_s, as_json=as_json)


def follow(session: LiveSession, *, interval_s: float, as_json: bool) -> None:
    """Print lines until the end, also when nobody reads them any more: a terminal that goes ends no training.

    The first SIGINT or SIGTERM stops gracefully, a second one at once.
    """

    def stop(*_: object) -> None:
        # On a thread of its own: this thread may hold the session's lock at the instruction where the signal came.
        threading.Thread(target=session.submit, args=(Stop(save=True),), name="bsmon-stop").start()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    headless.run(
        session,
        out=sys.stdout,
        interval_s=interval_s,
        as_json=as_json,
        stop=session.ended,
        earlier_events=session.earlier_events,
    )
