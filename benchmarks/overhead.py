"""What being watched costs: samples per second of bsmon beside a hand-written loop.

    python -m benchmarks.overhead [--rounds N] [--window SECONDS]

The same model, data, optimizer and threads: in a bare loop that reads no loss and draws nothing; in a second one, the
control, which shows what the comparison itself is worth; in bsmon without gradient probes, headless; headless; and on
its screen, in a terminal of 120x40 at the default frame rate. All are alive from the start and only one runs at a time,
by turns (SIGSTOP, SIGCONT). The bare loop runs before and after each of the others, and a ratio is to the mean of these
two, so that a machine that grows slower or faster meets both sides. Medians over the rounds.
"""

from __future__ import annotations

import argparse
import fcntl
import mmap
import os
import pty
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from bsmon.config.load import load
from bsmon.config.schema import Config

ROOT = Path(__file__).resolve().parents[1]
COUNT = struct.Struct("<dQ")  # seconds of the program's own clock, samples trained on until then
SETTLE_S = 0.4
START_S = 90.0

COMMON = """
[run]
name = "overhead"
epochs = 1000000
device = "cpu"
threads = 1
[train]
eval_every = "never"
[optimizer]
name = "AdamW"
lr = 1e-4
"""
TASKS = {
    "MLP": '[data]\ntask = "digits"\n[model]\nname = "mlp"\nhidden = [64]\n[batch]\nsize = 32\n' + COMMON,
    "CNN": '[data]\ntask = "digits"\n[model]\nname = "cnn"\nchannels = [16, 32, 64]\n[batch]\nsize = 128\n' + COMMON,
}

# The real program; only that every report of finished steps also leaves their number where the benchmark finds it.
BSMON = """
import mmap, struct, sys, time
from bsmon.session.inbox import Inbox
with open(sys.argv.pop(1), "r+b") as file:
    memory = mmap.mmap(file.fileno(), 16)
report = Inbox.steps
def counted(self, records):
    memory[:16] = struct.pack("<dQ", time.perf_counter(), records[-1].samples)
    report(self, records)
Inbox.steps = counted
from bsmon.cli import main
main()
"""


def bare_updates(config: Config) -> Iterator[int]:
    """The loop that a person would write, over the parts that bsmon would train: an update, and its samples."""
    from torch.nn.functional import cross_entropy

    from bsmon.engine.build import build
    from bsmon.engine.tasks.task import TensorBatches

    parts = build(config, lambda _what: None)
    model, optimizer, data = parts.model, parts.optimizer, parts.data.train
    assert isinstance(data, TensorBatches)
    inputs, targets = data.tensors
    while True:
        parts.cursor.next_epoch()
        for indices in parts.cursor.peek(len(data)).split(config.batch.size):
            optimizer.zero_grad(set_to_none=True)
            loss = cross_entropy(model(inputs[indices]), targets[indices])
            loss.backward()
            optimizer.step()
            yield len(indices)


def bare(config_path: Path, count_path: Path) -> None:
    """Train so, and leave the number of samples where the benchmark finds it."""
    memory, samples = _shared(count_path), 0
    for step, count in enumerate(bare_updates(load(config_path)), start=1):
        samples += count
        if step % 20 == 0:
            memory[: COUNT.size] = COUNT.pack(time.perf_counter(), samples)


def _shared(path: Path) -> mmap.mmap:
    with path.open("r+b") as file:
        return mmap.mmap(file.fileno(), COUNT.size)


@dataclass
class Program:
    """One program under test, stopped but while it is measured."""

    name: str
    process: subprocess.Popen[bytes]
    memory: mmap.mmap
    rates: list[float] = field(default_factory=list)
    ratios: list[float] = field(default_factory=list)
    """Its speed over that of the bare loop just before and after it."""

    def read(self) -> tuple[float, int]:
        """Seconds and samples; read again where the program was just writing."""
        while True:
            first, second = self.memory[: COUNT.size], self.memory[: COUNT.size]
            if first == second:
                seconds, samples = COUNT.unpack(first)
                return seconds, samples

    def wait_until_it_trains(self) -> None:
        """Return when steps were made. Raises RuntimeError where none come."""
        end = time.monotonic() + START_S
        while self.read()[1] == 0:
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"{self.name} does not train (exit status {self.process.poll()})")
            time.sleep(0.05)

    def signal(self, number: signal.Signals) -> None:
        """To the program and everything that it has started."""
        root = psutil.Process(self.process.pid)
        for process in [root, *root.children(recursive=True)]:
            process.send_signal(number)

    def measure(self, window_s: float) -> float:
        """Let it run alone for a while; its speed, in samples per second."""
        self.signal(signal.SIGCONT)
        time.sleep(SETTLE_S)
        began, before = self.read()
        time.sleep(window_s)
        ended, after = self.read()
        self.signal(signal.SIGSTOP)
        rate = (after - before) / (ended - began)
        self.rates.append(rate)
        return rate


class Terminal:
    """A terminal that somebody reads: 120x40; counts the bytes that were written to it."""

    def __init__(self) -> None:
        self.master, self.slave = pty.openpty()
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        self.count = 0
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        while data := os.read(self.master, 1 << 16):
            self.count += len(data)


def start(name: str, folder: Path, config: Path, options: Sequence[str], terminal: Terminal | None) -> Program:
    """Start one program and wait until it trains; it is stopped then. `options` None is the bare loop."""
    count = folder / f"{name.replace(' ', '-')}.count"
    count.write_bytes(bytes(COUNT.size))
    if options:
        command = ["-c", BSMON, str(count), "train", str(config), "--run-dir", str(folder / f"{count.stem}-run")]
        command += options[1:]
    else:
        command = ["-m", "benchmarks.overhead", "--bare", str(config), str(count)]
    put = terminal.slave if terminal else subprocess.DEVNULL
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TERM": "xterm-256color"}
    environment["PYTHONPATH"] = f"{ROOT / 'src'}:{ROOT}"
    errors = put if terminal else None
    process = subprocess.Popen(
        [sys.executable, *command],
        stdin=put,
        stdout=put,
        stderr=errors,
        cwd=ROOT,
        env=environment,
        start_new_session=True,
    )
    program = Program(name, process, _shared(count))
    program.wait_until_it_trains()
    time.sleep(2.0)  # the first seconds choose algorithms, forecast memory and build charts
    program.signal(signal.SIGSTOP)
    return program


def compare(task: str, rounds: int, window_s: float) -> None:
    """Measure one task's four programs by turns, and print them."""
    terminal = Terminal()
    without = ["", "--headless", "--set", "telemetry.budget=0.000001", "--set", "telemetry.noise_scale=false"]
    programs: list[Program] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = folder / "config.toml"
        config.write_text(TASKS[task], encoding="utf-8")
        try:
            programs.append(start("bare loop", folder, config, [], None))
            programs.append(start("control", folder, config, [], None))
            programs.append(start("without probes", folder, config, without, None))
            programs.append(start("headless", folder, config, ["", "--headless"], None))
            programs.append(start("screen", folder, config, [""], terminal))
            written = terminal.count
            take_turns(programs[0], programs[1:], rounds, window_s)
        finally:
            for program in programs:
                program.signal(signal.SIGKILL)
                program.process.wait()
    bytes_s = (terminal.count - written) / (rounds * (window_s + SETTLE_S))
    show(task, programs, bytes_s)


def take_turns(bare: Program, others: Sequence[Program], rounds: int, window_s: float) -> None:
    """The bare loop, another, the bare loop, the next, and so on; notes each one's ratios."""
    before = bare.measure(window_s)
    for _ in range(rounds):
        for program in others:
            own = program.measure(window_s)
            after = bare.measure(window_s)
            program.ratios.append(own / statistics.mean((before, after)))
            before = after


def show(task: str, programs: Sequence[Program], bytes_s: float) -> None:
    """Print a task's lines."""
    plain = programs[0]
    batch = int(TASKS[task].partition("size = ")[2].partition("\n")[0])
    print(f"{task}: a step of the bare loop takes {batch / statistics.median(plain.rates) * 1e3:.2f} ms")
    for program in programs[1:]:
        low, middle, high = statistics.quantiles(program.ratios, n=4)
        print(
            f"  {program.name:16} {statistics.median(program.rates):10,.0f} samples/s   ratio {middle:.3f}  "
            f"(half of the rounds {low:.3f} to {high:.3f})"
        )
    print(f"  the screen writes {bytes_s / 1e3:.1f} kB/s", flush=True)


def main() -> None:
    """Print both tables; `--bare` is what this program starts itself as."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--window", type=float, default=1.0, help="seconds that a program is measured at a time")
    parser.add_argument("--task", choices=sorted(TASKS), action="append")
    parser.add_argument("--bare", nargs=2, type=Path, metavar=("CONFIG", "COUNT"), help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.bare:
        bare(*chosen.bare)
    for task in chosen.task or sorted(TASKS, reverse=True):
        compare(task, chosen.rounds, chosen.window)


if __name__ == "__main__":
    main()
