"""Writes a journal until it is killed, or until its files may not grow: python journal_child.py PATH [BYTES].

After each batch it prints how many updates it has handed over.
"""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path

from bsmon.core.happenings import Moment, StepsMade
from bsmon.core.records import Step
from bsmon.store.journal_writer import JournalWriter

BATCH = 50


def steps(first: int) -> StepsMade:
    """The next updates."""
    return StepsMade(
        [Step(n, 1, n * 32, 32, 32, 1e-3, 1 / n, n * 0.01, 0.01, 0.0) for n in range(first, first + BATCH)]
    )


def write_until_killed(path: Path) -> None:
    """Write without end."""
    writer = JournalWriter(path, Moment(0.0, time.time()), "killed")
    first = 1
    while True:
        writer.write(first * 0.01, [steps(first)])
        first += BATCH
        sys.stdout.write(f"{first - 1}\n")
        sys.stdout.flush()


def write_on_a_full_disk(path: Path, size: int) -> None:
    """Write where only `size` bytes fit, then where there is room again; print the news."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    writer = JournalWriter(path, Moment(0.0, time.time()), "full")
    for number in range(40):
        writer.write(float(number), [steps(1 + number * BATCH)])
    sys.stdout.write("".join(f"{text}\n" for text in writer.news()))
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    writer.close()
    sys.stdout.write("".join(f"{text}\n" for text in writer.news()))


if __name__ == "__main__":
    if len(sys.argv) > 2:
        write_on_a_full_disk(Path(sys.argv[1]), int(sys.argv[2]))
    else:
        write_until_killed(Path(sys.argv[1]))
