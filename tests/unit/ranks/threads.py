"""Ranks as threads of the test's own process: no import of torch to wait for, and their weights can be looked at.

Random numbers are the process's, so what needs dropout needs real processes.
"""

from __future__ import annotations

import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any
from unittest.mock import patch

import torch

from bsmon.engine.ranks import process
from bsmon.engine.ranks.child import Member
from bsmon.engine.ranks.follower import Follower

RANK = "rank-"
"""Every thread's name begins so, its rank's number follows."""


def rank_here() -> int:
    """The rank whose code this is."""
    name = threading.current_thread().name
    return int(name.removeprefix(RANK)) if name.startswith(RANK) else 0


class ThreadProcess:
    """What `Member` needs of a process."""

    pid = 4711

    def __init__(self, thread: threading.Thread) -> None:
        self._thread = thread

    def poll(self) -> int | None:
        return None if self._thread.is_alive() else 0

    def wait(self, timeout: float | None = None) -> int:
        self._thread.join(timeout)
        if self._thread.is_alive():
            raise subprocess.TimeoutExpired("rank", timeout or 0)
        return 0

    def kill(self) -> None:
        raise AssertionError("a rank did not end by itself")


@dataclass
class Ranks:
    """The ranks of the runs made so far, in the order of their making."""

    followers: list[Follower] = field(default_factory=list)

    def weights(self) -> list[dict[str, torch.Tensor]]:
        """Their models' states, as they are now."""
        return [follower._parts.model.state_dict() for follower in self.followers]


@contextmanager
def ranks_in_threads(kind: type[Follower] = Follower) -> Iterator[Ranks]:
    """Within the block, the ranks of every run are threads. `kind`: what they do."""
    ranks = Ranks()

    class Kept(kind):  # type: ignore[misc,valid-type]  # a class that is not known before the call
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            ranks.followers.append(self)

    with patch("bsmon.engine.ranks.start.start_member", start), patch.object(process, "Follower", Kept):
        yield ranks


def start(rank: int) -> Member:
    ours, theirs = socket.socketpair()
    ending = theirs.dup()

    def work() -> None:
        # As a process's end closes its socket.
        with ending, Connection(theirs.detach()) as connection, suppress(EOFError, ConnectionError):
            process.follow(connection, connection.recv())

    thread = threading.Thread(target=work, name=f"{RANK}{rank}", daemon=True)
    thread.start()
    return Member(rank, ThreadProcess(thread), Connection(ours.detach()))
