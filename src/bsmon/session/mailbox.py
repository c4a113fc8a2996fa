"""Where commands wait for a step boundary."""

from __future__ import annotations

import threading
from collections import deque

from bsmon.core.commands import Command


class CommandMailbox:
    """A queue from any thread to the training thread. Looking into it when it is empty costs next to nothing."""

    def __init__(self) -> None:
        self._waiting: deque[Command] = deque()
        self._arrived = threading.Event()

    def put(self, command: Command) -> None:
        """Leave a command; returns at once."""
        self._waiting.append(command)
        self._arrived.set()

    def take(self) -> Command | None:
        """The oldest waiting command, or None; returns at once."""
        if not self._waiting:
            return None
        return self._waiting.popleft()

    def find(self, kind: type[Command]) -> Command | None:
        """The oldest waiting command of this kind, left where it is."""
        return next((command for command in tuple(self._waiting) if isinstance(command, kind)), None)

    def wait(self, timeout_s: float) -> None:
        """Return when a command waits, or after the time."""
        self._arrived.clear()
        if not self._waiting:
            self._arrived.wait(timeout_s)
