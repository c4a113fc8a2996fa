"""Running without a screen: pipes, nohup, CI."""

from __future__ import annotations

import signal
import sys
from types import FrameType

from bsmon import headless
from bsmon.core.commands import Stop
from bsmon.session.live import LiveSession


def run_headless(session: LiveSession, *, interval_s: float, as_json: bool) -> None:
    """Train and print lines until the end. The first SIGINT or SIGTERM stops gracefully, a second one at once."""

    def stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001  the signature of signal handlers
        session.submit(Stop(save=True))
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    session.start()
    headless.run(session, out=sys.stdout, interval_s=interval_s, as_json=as_json, stop=session.ended)
