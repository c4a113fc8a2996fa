"""The process of a rank other than rank 0: python -m bsmon.engine.ranks.process DESCRIPTOR, as `start_member` does."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import sys
import threading
from multiprocessing.connection import Connection
from pathlib import Path

from bsmon.engine.build import build
from bsmon.engine.ranks.follower import Follower, Socket, attempt
from bsmon.engine.ranks.group import Group
from bsmon.engine.ranks.likeness import check_alike, likeness
from bsmon.engine.ranks.orders import Begin, Proceed, Trouble


def main(descriptor: int) -> None:
    """Follow rank 0 at the other end of this socket, until it says stop or is gone."""
    # What ends a run reaches rank 0, which saves first; this process ends with it.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    os.set_inheritable(descriptor, False)
    socket: Socket = Connection(descriptor)
    with contextlib.suppress(EOFError, ConnectionError):
        begin = socket.recv()
        assert isinstance(begin, Begin), begin
        folder = Path(begin.store).parent
        end = threading.Thread(target=end_with, args=(descriptor, folder), name="bsmon-rank-0", daemon=True)
        end.start()
        try:
            follow(socket, begin)
        except (EOFError, ConnectionError):
            end.join()  # rank 0 is gone: the process must not end before that thread has removed the folder


def end_with(descriptor: int, folder: Path) -> None:
    """End this process when the other end of its socket closes, also in the middle of what all ranks do together.

    Also removes the folder where the ranks met: a rank 0 that was killed could not.
    """
    poll = select.poll()
    poll.register(descriptor, 0)  # no events but that the other end has closed
    poll.poll()
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)


def follow(socket: Socket, begin: Begin) -> None:
    """Build the training and obey. Raises EOFError when rank 0 is gone."""
    made: list[Follower] = []

    def make() -> None:
        parts = build(begin.config, lambda _what: None, begin.rank)
        check_alike(begin.config.path, begin.likeness, likeness(parts))
        made.append(Follower(parts, begin.rank, socket))

    answer = attempt(make)
    socket.send(answer)
    order = socket.recv()
    if isinstance(answer, Trouble) or not isinstance(order, Proceed):
        return
    follower = made[0]
    follower.serve(Group(follower.device, begin.store, begin.rank, begin.config.run.world_size))


if __name__ == "__main__":
    main(int(sys.argv[1]))
