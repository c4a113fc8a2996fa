"""The process of a rank other than rank 0: python -m bsmon.engine.ranks.process DESCRIPTOR, as `start_member` does."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import threading
from multiprocessing.connection import Connection

from bsmon.engine.build import build
from bsmon.engine.ranks.follower import Follower, Socket, attempt
from bsmon.engine.ranks.group import Group
from bsmon.engine.ranks.orders import Begin, Proceed, Trouble


def main(descriptor: int) -> None:
    """Follow rank 0 at the other end of this socket, until it says stop or is gone."""
    # What ends a run reaches rank 0, which saves first; this process ends with it.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    os.set_inheritable(descriptor, False)
    threading.Thread(target=end_with, args=(descriptor,), name="bsmon-rank-0", daemon=True).start()
    with contextlib.suppress(EOFError, ConnectionError):
        follow(Connection(descriptor))


def end_with(descriptor: int) -> None:
    """End this process when the other end of its socket closes, also in the middle of what all ranks do together."""
    poll = select.poll()
    poll.register(descriptor, 0)  # no events but that the other end has closed
    poll.poll()
    os._exit(0)


def follow(socket: Socket) -> None:
    """Build the training and obey. Raises EOFError when rank 0 is gone."""
    begin = socket.recv()
    assert isinstance(begin, Begin), begin
    made: list[Follower] = []

    def make() -> None:
        parts = build(begin.config, lambda _what: None, begin.rank)
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
