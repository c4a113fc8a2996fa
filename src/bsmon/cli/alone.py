"""Training on without a screen: after a detach, a lost terminal, or `--detach` from the start."""

from __future__ import annotations

import signal

from bsmon.core.commands import Stop
from bsmon.session.live import LiveSession

# Nobody is there to send them on purpose; a terminal that goes sends them all the same, and the rest would stop us.
_MEANINGLESS = (signal.SIGHUP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)
_ASKING = (signal.SIGTERM, signal.SIGINT)


def train_on(session: LiveSession) -> None:
    """Wait for the run's end, at no cost. SIGTERM and SIGINT stop it gracefully, however often they come."""

    def stop(*_: object) -> None:
        # Not a deadlock: this thread waits below and holds none of the session's locks.
        session.submit(Stop(save=True))

    for meaningless in _MEANINGLESS:
        signal.signal(meaningless, signal.SIG_IGN)
    for asking in _ASKING:
        signal.signal(asking, stop)
    signal.signal(signal.SIGCONT, signal.SIG_DFL)
    signal.signal(signal.SIGWINCH, signal.SIG_DFL)
    session.ended.wait()
