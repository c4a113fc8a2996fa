"""What the journal survives: python -m benchmarks.journal_faults [KILLS].

Counts writers killed with SIGKILL at random moments, tails torn at every byte, files with random bytes written over
them, and disks that fill up at every size from 1 byte on.
"""

from __future__ import annotations

import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bsmon.core.happenings import Moment, StepsMade
from bsmon.core.records import Step
from bsmon.core.snapshot import RunInfo
from bsmon.session.playback import Playback
from bsmon.store.journal_reader import JournalReader
from bsmon.store.journal_writer import JournalWriter

BATCH = 20
FLIPPED_FILES = 2000
FULL_DISKS = 200


def steps(first: int) -> StepsMade:
    """The next updates."""
    return StepsMade(
        [Step(n, 1, n * 32, 32, 32, 1e-3, 1 / n, n * 0.01, 0.01, 0.0) for n in range(first, first + BATCH)]
    )


def child(path: str) -> None:
    """Write until killed; say after each portion how many updates were handed over."""
    writer = JournalWriter(Path(path), Moment(0.0, time.time()), "killed")
    first = 1
    while True:
        writer.write(first * 0.01, [steps(first)])
        first += BATCH
        os.write(1, f"{first - 1}\n".encode())


def updates_in(path: Path) -> tuple[int, bool, int]:
    """(updates that can be read, whether they are all there from the first on, damaged lines)."""
    reader = JournalReader(path)
    found = [step.step for e in reader.read() if isinstance(e.happening, StepsMade) for step in e.happening.records]
    return len(found), found == list(range(1, len(found) + 1)), reader.damaged


def killed(folder: Path, chance: random.Random) -> bool:
    """Whether a writer killed at a random moment lost nothing that it had handed over."""
    path = folder / "killed.jsonl"
    path.unlink(missing_ok=True)
    # As a module: beside a script, Python would find this folder's own statistics.py before the library's.
    command = [sys.executable, "-m", "benchmarks.journal_faults", "--child", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(chance.random() * 0.05)
        process.kill()
        told = process.stdout.read().split(b"\n")
    handed_over = int(told[-2]) if len(told) > 1 else BATCH
    count, whole, damaged = updates_in(path)
    return count >= handed_over and whole and damaged == 0


def torn(folder: Path) -> tuple[int, int]:
    """(sizes at which a cut file gives all its whole lines, sizes tried)."""
    path, cut = folder / "whole.jsonl", folder / "torn.jsonl"
    _write(path, 5)
    data, good = path.read_bytes(), 0
    for size in range(len(data) + 1):
        cut.write_bytes(data[:size])
        count, whole, damaged = updates_in(cut)
        good += whole and damaged == 0 and count == BATCH * max(0, data[:size].count(b"\n") - 1)
    return good, len(data) + 1


def overwritten(folder: Path, chance: random.Random) -> bool:
    """Whether a file with random bytes in it can be read and played without an error."""
    path = folder / "flipped.jsonl"
    _write(path, 5)
    data = bytearray(path.read_bytes())
    for _ in range(chance.randint(1, 20)):
        data[chance.randrange(60, len(data))] = chance.randrange(256)
    path.write_bytes(data)
    playback = Playback(path, RunInfo("flipped"))
    playback.play()
    playback.seek(playback.total // 2)
    playback.record.freeze()
    return True


def full(folder: Path, size: int) -> bool:
    """Whether a disk that is full at `size` bytes, and then has room again, loses nothing."""
    path = folder / "full.jsonl"
    path.unlink(missing_ok=True)
    _limit(size)
    writer = JournalWriter(path, Moment(0.0, 0.0), "full")
    for number in range(10):
        writer.write(float(number), [steps(1 + number * BATCH)])
    _limit(resource.RLIM_INFINITY)
    writer.close()
    count, whole, _ = updates_in(path)
    return count == 10 * BATCH and whole and len(writer.news()) == 2


def _limit(size: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def _write(path: Path, portions: int) -> None:
    path.unlink(missing_ok=True)
    writer = JournalWriter(path, Moment(0.0, 0.0), "whole")
    for number in range(portions):
        writer.write(float(number), [steps(1 + number * BATCH)])
    writer.close()


def _count(tried: int, test: Callable[[int], bool]) -> tuple[int, int]:
    return sum(test(number) for number in range(tried)), tried


def main() -> None:
    """Try and print."""
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    chance = random.Random(0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = {
            "killed while writing, nothing handed over is lost": _count(kills, lambda _: killed(folder, chance)),
            "torn at every byte, all whole lines are read": torn(folder),
            "random bytes over the file, read and played": _count(FLIPPED_FILES, lambda _: overwritten(folder, chance)),
            "disk full at 1, 12, 23, ... bytes, nothing is lost": _count(
                FULL_DISKS, lambda n: full(folder, 1 + 11 * n)
            ),
        }
    for text, (good, tried) in rows.items():
        print(f"{text:52}  {good:6,} of {tried:,}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2])
    main()
