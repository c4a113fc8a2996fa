"""A call with a deadline: it runs in a thread of its own, and who asks never waits longer than agreed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class BackgroundCall(Generic[T]):
    """Runs one function again and again in a daemon thread; a call that hangs leaves that thread behind, no more.

    The function must not raise: what it cannot read it returns as unknown.
    """

    def __init__(self, function: Callable[[], T], name: str) -> None:
        self._function = function
        self._name = name
        self._wanted = threading.Event()
        self._done = threading.Event()
        self._asked = False
        self._ending = False
        self._result: T | None = None
        self._thread: threading.Thread | None = None
        self.cpu_s = 0.0  # processor time of the thread so far

    def result(self, deadline_s: float) -> T | None:
        """Call the function (or go on waiting for the call under way); None when it is not done in time."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
            self._thread.start()
        if not self._asked:
            self._asked = True
            self._wanted.set()
        if not self._done.wait(deadline_s):
            return None
        self._done.clear()
        self._asked = False
        return self._result

    def close(self, deadline_s: float) -> None:
        """Let the thread end; one that hangs is left alone after the deadline."""
        self._ending = True
        self._wanted.set()
        if self._thread is not None:
            self._thread.join(deadline_s)

    def _work(self) -> None:
        while True:
            self._wanted.wait()
            if self._ending:
                return
            self._wanted.clear()
            self._result = self._function()
            self.cpu_s = time.thread_time()
            self._done.set()
