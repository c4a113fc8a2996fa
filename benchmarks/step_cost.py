"""What bsmon adds to an update, to the microsecond: python -m benchmarks.step_cost [--turns 200]

`benchmarks.overhead` compares whole programs, and a machine whose speed swings hides a few per cent. Here a bare
hand-written loop and the real training, with its probes, take turns on one thread of one process: some dozen updates
the one, as many the other. Nothing else of bsmon runs: no screen, no sampler, no session.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.overhead import TASKS, bare_updates
from bsmon.config.load import parse
from bsmon.core.commands import Command, Stop
from bsmon.session.desk import AdvisorDesk
from bsmon.session.inbox import Inbox
from bsmon.session.mailbox import CommandMailbox
from bsmon.session.training import Training

WARM_UP = 10
"""Turns that are not counted: memory is counted and speed is probed in the first updates."""

UPDATES = {"MLP": 200, "CNN": 20}
"""Of a turn: some 50 ms, long beside the clock's reading and short beside the machine's swings."""


class Turns(CommandMailbox):
    """Asked by the training at every update; after so many of them makes as many bare ones, and notes both times."""

    def __init__(self, bare: Iterator[int], updates: int, turns: int) -> None:
        super().__init__()
        self._bare = bare
        self._updates = updates
        self._left = turns + WARM_UP
        self._asked = 0
        self._began = 0.0
        self.pairs: list[tuple[float, float]] = []
        """Seconds of a bare update, and of bsmon's in the turn before it."""

    def take(self) -> Command | None:
        """See Mailbox; the run ends with the last turn."""
        self._asked += 1
        if self._asked % self._updates:
            return None
        now = time.perf_counter()
        own = (now - self._began) / self._updates
        for _ in range(self._updates):
            next(self._bare)
        self._began = time.perf_counter()
        self.pairs.append(((self._began - now) / self._updates, own))
        self._left -= 1
        return None if self._left else Stop(save=False)


def measure(name: str, turns: int) -> str:
    """A line of the table."""
    config = parse(TASKS[name], Path(f"{name}.toml"))
    mailbox = Turns(bare_updates(config), UPDATES[name], turns)
    with tempfile.TemporaryDirectory() as folder:
        Training(Path(folder))(config, Inbox(), mailbox, AdvisorDesk(config))
    pairs = mailbox.pairs[WARM_UP:]
    low, middle, high = statistics.quantiles([(own - bare) * 1e6 for bare, own in pairs], n=4)
    bare = statistics.median(bare for bare, _ in pairs)
    ratio = statistics.median(bare / own for bare, own in pairs)
    return f"{name:<6}{bare * 1e3:>10.3f}{middle:>12.0f} ({low:.0f} to {high:.0f}){ratio:>10.3f}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=200, help="of each loop")
    turns: int = parser.parse_args().turns
    print(f"{'':<6}{'bare, ms':>10}{'bsmon adds, us (middle half)':>30}{'speed':>10}")
    for name in TASKS:
        print(measure(name, turns), flush=True)


if __name__ == "__main__":
    main()
