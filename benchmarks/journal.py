"""What the journal costs a step, and how soon a long run is open again: python -m benchmarks.journal [STEPS].

Beside it the same steps in SQLite and as one JSON object a line, in the same process. Steps are handed over 100 at a
time, with gradient statistics once in 30 steps and a hardware sample a second, as a live session does.
"""

from __future__ import annotations

import json
import random
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bsmon.core.happenings import Happening, HardwareRead, Measured, Moment, PlanSet, StepsMade
from bsmon.core.records import GradientStats, HardwareSample, HostSample, Step
from bsmon.core.snapshot import BatchState, RunInfo
from bsmon.session.playback import Playback
from bsmon.store.journal_writer import JournalWriter

BATCH = 100
STEP_S = 0.001


def batches(count: int) -> Iterator[tuple[float, list[Happening]]]:
    """A run of `count` steps of about a millisecond, in the portions in which a session folds them."""
    noise = random.Random(0)
    now, samples = 0.0, 0
    for first in range(1, count + 1, BATCH):
        steps = []
        for step in range(first, first + BATCH):
            duration = STEP_S + noise.random() * 1e-4
            now, samples = now + duration, samples + 32
            loss = 2.0 / step**0.3 + 0.1 * noise.random()
            steps.append(Step(step, 1 + step // 5000, samples, 32, 32, 1e-3, loss, now, duration, duration / 50))
        made: list[Happening] = [StepsMade(steps)]
        made += [
            Measured(GradientStats(step, noise.random(), noise.random(), noise.random(), snr=noise.random()))
            for step in range(first, first + 3)
        ]
        if first // BATCH % 10 == 0:
            made.append(HardwareRead(HardwareSample(now, HostSample(rss_bytes=2**30, cpu_percent=99.0))))
        if first // BATCH % 1000 == 0:
            made.append(PlanSet(BatchState(32 << (first // BATCH // 1000 % 4), 32, 1, 1e-3)))
        yield now, made


def write_journal(path: Path, count: int) -> float:
    """Seconds that writing took."""
    writer = JournalWriter(path, Moment(0.0, time.time()), "benchmark")
    spent = 0.0
    for now, made in batches(count):
        began = time.perf_counter()
        writer.write(now, made)
        spent += time.perf_counter() - began
    began = time.perf_counter()
    writer.close()
    return spent + time.perf_counter() - began


def write_sqlite(path: Path, count: int) -> float:
    """The same steps, a commit each portion, in WAL mode."""
    base = sqlite3.connect(path)
    base.execute("PRAGMA journal_mode=WAL")
    base.execute(f"CREATE TABLE steps ({','.join(Step._fields)})")
    insert = f"INSERT INTO steps VALUES ({','.join('?' * len(Step._fields))})"
    spent = 0.0
    for _, made in batches(count):
        began = time.perf_counter()
        base.executemany(insert, made[0].records if isinstance(made[0], StepsMade) else ())
        base.commit()
        spent += time.perf_counter() - began
    base.close()
    return spent


def write_objects(path: Path, count: int) -> float:
    """One JSON object a step, as loggers usually write."""
    spent = 0.0
    with path.open("w") as out:
        for _, made in batches(count):
            began = time.perf_counter()
            for step in made[0].records if isinstance(made[0], StepsMade) else ():
                out.write(json.dumps(step._asdict()) + "\n")
            out.flush()
            spent += time.perf_counter() - began
    return spent


def read_objects(path: Path) -> float:
    """Seconds to have the losses of such a file, and nothing else."""
    began = time.perf_counter()
    with path.open() as lines:
        losses = [json.loads(line)["loss"] for line in lines]
    assert losses
    return time.perf_counter() - began


def read_sqlite(path: Path) -> float:
    """The same of the data base."""
    began = time.perf_counter()
    base = sqlite3.connect(path)
    assert base.execute("SELECT loss FROM steps").fetchall()
    base.close()
    return time.perf_counter() - began


def open_journal(path: Path) -> tuple[float, float, float]:
    """Seconds to the first whole snapshot; the median and the longest of 40 jumps through the run."""
    began = time.perf_counter()
    playback = Playback(path, RunInfo("benchmark"))
    playback.play()
    playback.record.freeze()
    opened = time.perf_counter() - began
    places, jumps = random.Random(1), []
    for _ in range(40):
        began = time.perf_counter()
        playback.seek(places.randrange(playback.total))
        playback.record.freeze()
        jumps.append(time.perf_counter() - began)
    return opened, sorted(jumps)[20], max(jumps)


def main() -> None:
    """Measure and print."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    print(f"{count:,} steps of about {1e3 * STEP_S:g} ms")
    print(f"{'':20}  us/step  bytes/step  read, s")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal.jsonl"
        spent = write_journal(path, count)
        opened, middle, longest = open_journal(path)
        _row("bsmon journal", spent, path, count, opened)
        path.unlink()
        for name, write, read in (
            ("SQLite, WAL", write_sqlite, read_sqlite),
            ("JSON objects", write_objects, read_objects),
        ):
            other = Path(folder) / name.replace(" ", "-")
            spent = write(other, count)
            _row(name, spent, other, count, read(other))
            other.unlink()
    print("read: bsmon journal to the whole snapshot with all series; the others the losses alone")
    print(f"jumps in bsmon show: {1e3 * middle:.0f} ms (median of 40), longest {1e3 * longest:.0f} ms")


def _row(name: str, spent: float, path: Path, count: int, read: float) -> None:
    print(f"{name:20}  {1e6 * spent / count:7.2f}  {path.stat().st_size / count:10.0f}  {read:7.2f}")


if __name__ == "__main__":
    main()
