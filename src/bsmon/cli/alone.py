"""Training on without a screen: after a detach, a lost terminal, or `--detach` from the start."""

from __future__ import annotations

import signal
import threading

from bsmon.core.commands import Stop
from bsmon.session.live import LiveSession

# Nobody is there to send them on purpose; a terminal that goes sends them all the same, and the rest would stop us.
_MEANINGLESS = (signal.SIGHUP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)
_ASKING = (signal.SIGTERM, signal.SIGINT)


def stop_when_asked(session: LiveSession) -> None:
    """From now on SIGTERM and SIGINT stop gracefully, however often they come."""

    def stop(*_: object) -> None:
        # On a thread of its own: this thread may hold the session's lock at the instruction where the signal came.
        threading.Thread(target=session.submit, args=(Stop(save=True),), name="bsmon-stop").start()

    for asking in _ASKING:
        signal.signal(asking, stop)


def ignore_terminal(session: LiveSession) -> None:
    """From now on a terminal's signals mean nothing; SIGTERM and SIGINT stop gracefully."""
    stop_when_asked(session)
    for meaningless in _MEANINGLESS:
        signal.signal(meaningless, signal.SIG_IGN)
    signal.signal(signal.SIGCONT, signal.SIG_DFL)
    signal.signal(signal.SIGWINCH, signal.SIG_DFL)


def train_on(session: LiveSession) -> None:
    """Wait for the run's end, at no cost."""
    ignore_terminal(session)
    session.ended.wait()
