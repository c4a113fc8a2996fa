"""What is done while a rank keeps the others waiting: it is said, and a stop does not wait for long."""

from __future__ import annotations

from collections.abc import Callable

from bsmon.core.commands import Stop
from bsmon.core.ports import Mailbox, Observer
from bsmon.core.records import EventKind, Level
from bsmon.engine.mishaps import RankLostError

SAY_AFTER_S = 30
"""A step, or the building of a model, may well take as long as that."""

GIVE_UP_AFTER_S = 10
"""From the moment that somebody asks to stop."""


class Patience:
    """Called about every second with whom rank 0 waits for, and for how many seconds it has."""

    def __init__(self, observer: Observer, mailbox: Mailbox, step: Callable[[], int]) -> None:
        """`step`: the updates made so far."""
        self._observer = observer
        self._mailbox = mailbox
        self._step = step
        self._asked_at_s: int | None = None

    def __call__(self, who: str, waited_s: int) -> None:
        """Raises RankLostError when a stop has waited long enough."""
        if waited_s == SAY_AFTER_S:
            text = f"{who} has not answered for {waited_s} s; training waits for it"
            self._observer.event(EventKind.RUN, Level.WARNING, text, self._step())
        stop = self._mailbox.find(Stop)
        if not isinstance(stop, Stop) or stop.after_epoch:
            self._asked_at_s = None
            return
        if self._asked_at_s is None or self._asked_at_s > waited_s:
            self._asked_at_s = waited_s
        if waited_s - self._asked_at_s >= GIVE_UP_AFTER_S:
            raise RankLostError(f"{who} has not answered for {waited_s} s, and the run was asked to stop")
