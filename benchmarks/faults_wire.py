"""What viewers cost a training and what the worst of them can do: one part of `benchmarks.faults`."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bsmon.core.commands import Command
from bsmon.core.snapshot import Snapshot
from bsmon.store.history import BinnedSeries
from bsmon.wire.address import connect
from bsmon.wire.changes import apply_changes, encode_changes
from bsmon.wire.frames import frame
from bsmon.wire.remote import RemoteSession
from bsmon.wire.server import RunServer
from tests import fakes

VIEWERS = 50
FIRST_STEP = 4200  # just after the bins have merged, so that they do not merge again while they are measured
WINDOW_S = 4.0
WINDOWS = 5
SERIES = ("loss", "loss_smoothed", "grad_norm", "learning_rate", "batch_size", "samples_per_second")
BLOCK = bytes(1 << 21)
"""Hashing this is a step of a millisecond or two, with Python's lock released as torch does in its kernels."""

READ, DO_NOT_READ = "read", "do not read"
ONLOOKERS = """
import socket, sys, time
from pathlib import Path
from bsmon.wire.frames import frame
from bsmon.wire.protocol import Hello, Poll, encode
from bsmon.wire.remote import RemoteSession
path, readers, others = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
kept = []
for _ in range(readers):
    remote = RemoteSession(path, control=False)
    remote.open(20)
    kept.append(remote)
for _ in range(others):
    lazy = socket.socket(socket.AF_UNIX)
    lazy.connect(str(path))
    lazy.sendall(frame(encode(Hello(1, control=False))) + 20 * frame(encode(Poll())))
    kept.append(lazy)
print("ready", flush=True)
time.sleep(1e6)
"""


class Training:
    """Steps of fixed work on a thread, and series of them as long as a run's ever get."""

    def __init__(self) -> None:
        self._series = {name: BinnedSeries() for name in SERIES}
        for series in self._series.values():
            series.extend([(step, random.random()) for step in range(FIRST_STEP)])
        self._step = FIRST_STEP
        self._base = fakes.with_advice()
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self.steps_s: list[float] = []
        self._thread = threading.Thread(target=self._train, daemon=True)
        self._thread.start()

    def snapshot(self) -> Snapshot:
        """The state now."""
        with self._lock:
            frozen = {name: series.freeze() for name, series in self._series.items()}
            return dataclasses.replace(self._base, version=self._step, series=frozen)

    def submit(self, command: Command) -> None:
        """No command is sent here."""
        raise AssertionError(command)

    def end(self) -> None:
        """Stop."""
        self._ending.set()
        self._thread.join()

    def _train(self) -> None:
        while not self._ending.is_set():
            begun = time.perf_counter()
            hashlib.sha256(BLOCK)
            with self._lock:
                self._step += 1
                for series in self._series.values():
                    series.append(self._step, random.random())
            self.steps_s.append(time.perf_counter() - begun)


@contextmanager
def onlookers(path: Path, readers: int, others: int) -> Iterator[None]:
    """Viewers in a process of their own."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", ONLOOKERS, str(path), str(readers), str(others)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield
        finally:
            process.kill()


def thread_seconds(name: str) -> float:
    """Processor time of a thread of this process."""
    (number,) = (thread.native_id for thread in threading.enumerate() if thread.name == name)
    fields = Path(f"/proc/self/task/{number}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def window(training: Training) -> tuple[float, float]:
    """(median step in ms, the server's share of one core in %) over a few seconds."""
    training.steps_s.clear()
    used = thread_seconds("bsmon-socket")
    time.sleep(WINDOW_S)
    share = (thread_seconds("bsmon-socket") - used) / WINDOW_S
    return 1e3 * statistics.median(training.steps_s), 100 * share


def slowdown(path: Path, training: Training) -> None:
    """Windows with and without viewers in turn, so that a busy machine is busy for both."""
    alone, watched = [], []
    for _ in range(WINDOWS):
        alone.append(window(training))
        with onlookers(path, VIEWERS // 2, VIEWERS - VIEWERS // 2):
            watched.append(window(training))
    ratios = [100 * (with_them[0] / without[0] - 1) for without, with_them in zip(alone, watched, strict=True)]
    print(
        f"{VIEWERS} viewers, half not reading: median step {statistics.median(step for step, _ in alone):.3f} -> "
        f"{statistics.median(step for step, _ in watched):.3f} ms; slowdown, median of {WINDOWS} pairs "
        f"{statistics.median(ratios):+.2f} % (from {min(ratios):+.2f} to {max(ratios):+.2f}); "
        f"server thread {statistics.median(share for _, share in watched):.2f} % of a core"
    )


def random_frames(path: Path, count: int) -> None:
    """Each on a connection of its own; afterwards an honest viewer must still be served."""
    noise = random.Random(5)
    for _ in range(count):
        data = noise.randbytes(noise.randrange(64))
        with connect(path) as connection:
            connection.sendall(frame(data) if noise.random() < 0.8 else data)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(4096):  # until the run has dealt with it and hung up
                pass
    witness = RemoteSession(path, control=False)
    witness.open(20)
    witness.close()
    print(f"random frames: {count:,} sent, an honest viewer is served afterwards")


def sizes(training: Training) -> None:
    """Bytes and milliseconds of the whole state and of half a second's changes."""
    old = training.snapshot()
    time.sleep(0.5)
    new = training.snapshot()
    for name, base in (("whole state", None), ("changes of 0.5 s", old)):
        data = encode_changes(base, new)
        encoding = min(timed(lambda base=base: encode_changes(base, new)) for _ in range(20))
        decoding = min(timed(lambda base=base, data=data: apply_changes(base, data)) for _ in range(20))
        print(f"{name:17} {len(data):8,} bytes, encoded in {encoding:.2f} ms, decoded in {decoding:.2f} ms")


def timed(work: object) -> float:
    """Milliseconds of one call."""
    assert callable(work)
    begun = time.perf_counter()
    work()
    return 1e3 * (time.perf_counter() - begun)


def main(frames: int) -> None:
    """Print the figures."""
    with tempfile.TemporaryDirectory() as folder:
        training, path = Training(), Path(folder) / "run.sock"
        server = RunServer(training, path)
        server.start()
        sizes(training)
        slowdown(path, training)
        random_frames(path, frames)
        server.stop()
        training.end()
