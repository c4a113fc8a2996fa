"""Rank 0's end of another rank: its process, and the socket between the two."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from itertools import count
from multiprocessing.connection import Connection
from typing import Protocol

from bsmon.engine.ranks.orders import Answer, Order

WhileWaiting = Callable[[str, int], None]
"""Told about every second whom rank 0 waits for, and for how many seconds it has; it may raise to give up."""

_LOOK_MS = 1000
_REAP_S = 2.0


class MemberGone(Exception):
    """The process has ended; the message says whose and how."""


class Process(Protocol):
    """What is needed of a running process; `subprocess.Popen` has it."""

    pid: int

    def poll(self) -> int | None:
        """The exit status, negative for a signal; None while it runs."""

    def wait(self, timeout: float | None = None) -> int:
        """The exit status. Raises TimeoutExpired."""

    def kill(self) -> None:
        """End it."""


class Member:
    """One of the other ranks, as rank 0 sees it."""

    def __init__(self, rank: int, process: Process, connection: Connection[Order, Answer]) -> None:
        """`connection` is closed when the process has ended."""
        self.rank = rank
        self._process = process
        self._connection = connection
        self._poll = select.poll()  # not select.select, which fails on descriptors above 1023
        self._poll.register(connection.fileno(), select.POLLIN)

    def __str__(self) -> str:
        return f"rank {self.rank} (process {self._process.pid})"

    def send(self, order: Order) -> None:
        """Give an order. Raises MemberGone."""
        try:
            self._connection.send(order)
        except OSError as error:
            raise self.lost() from error

    def receive(self, while_waiting: WhileWaiting) -> Answer:
        """The next answer, however long it takes: `while_waiting` may raise to give up. Raises MemberGone."""
        # The socket closes with the process; looking at the process, too, helps where somebody else holds it open.
        for looks in count(1):
            if self._poll.poll(_LOOK_MS):
                break
            if self._process.poll() is not None and not self._poll.poll(0):
                raise self.lost()
            while_waiting(str(self), looks * _LOOK_MS // 1000)
        try:
            return self._connection.recv()
        except (OSError, EOFError) as error:
            raise self.lost() from error

    def is_lost(self, patience_s: float) -> bool:
        """Whether the process has ended; waits at most so long for that."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(patience_s)
            return True
        return False

    def lost(self) -> MemberGone:
        """How it ended."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_REAP_S)
        status = self._process.poll()
        how = f"ended with status {status}"
        if status is None:
            how = "does not answer any more"
        elif status < 0:
            why = "; the kernel does that when memory is short" if -status == signal.SIGKILL else ""
            how = f"was killed by {signal.Signals(-status).name}{why}"
        return MemberGone(f"{self} {how}")

    def close(self, patience_s: float) -> None:
        """Wait for a rank that was told to stop; then close the socket, on which it ends at once; then kill it."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(patience_s)
        self._connection.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_REAP_S)
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()


def start_member(rank: int) -> Member:
    """Start the process of this rank. Raises OSError where the system cannot."""
    ours, theirs = socket.socketpair()
    with theirs:
        # -P keeps the current directory out of sys.path, where rank 0 does not have it.
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "bsmon.engine.ranks.process", str(theirs.fileno())],
            stdin=subprocess.DEVNULL,
            stdout=2,  # beside what rank 0 says on its stdout nothing else may stand; on a screen both are the log
            pass_fds=(theirs.fileno(),),
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "BSMON_RANK": str(rank)},
            start_new_session=True,  # Ctrl+C and a closed terminal are rank 0's business
        )
    return Member(rank, process, Connection(ours.detach()))
