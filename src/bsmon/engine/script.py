"""Commands of a recorded run, given again at the steps at which they took effect."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from bsmon.core.commands import Command, Scripted
from bsmon.core.ports import Mailbox


class ScriptedMailbox:
    """Implements `core.ports.Mailbox`: the person's commands, and before them those of the script that are due.

    `step()` is the number of updates made; it is asked at step boundaries, where the engine takes commands.
    """

    def __init__(self, person: Mailbox, script: Sequence[Scripted], step: Callable[[], int]) -> None:
        self._person = person
        self._script = deque(script)
        self._step = step

    def take(self) -> Command | None:
        """See Mailbox."""
        if self._script and self._script[0].step <= self._step():
            return self._script.popleft().command
        return self._person.take()

    def find(self, kind: type[Command]) -> Command | None:
        """See Mailbox; the script ends no run early, so it is not looked into."""
        return self._person.find(kind)

    def wait(self, timeout_s: float) -> None:
        """See Mailbox."""
        self._person.wait(timeout_s)
