"""What GPU telemetry costs, and what a broken driver does to training: on a stand-in for NVIDIA's library.

    python -m benchmarks.telemetry_faults [--hang 60]

Needs a C compiler, no GPU. Prints: NVML faults tried and survived; steps delayed while NVML hangs; the sampler's share
of a core; the cost of a step timer's mark.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from bsmon.core.records import HardwareSample
from bsmon.telemetry.clock import CpuStepTimer
from bsmon.telemetry.sampler import HardwareSampler
from tests.faults.nvml.stub import Control, build

BLOCK = bytes(1 << 21)
"""Hashing this is a step of a few milliseconds, with Python's lock released as torch does in its kernels."""

COMPARED_S = 15.0
MARKS = 200_000


@dataclass
class Phase:
    """Steps made under one condition."""

    name: str
    steps_s: list[float] = field(default_factory=list)
    samples: list[HardwareSample] = field(default_factory=list)

    def cpu_percent(self) -> float | None:
        """The sampler's mean share of one core, without its start."""
        shares = [sample.sampler_cpu_percent for sample in self.samples if sample.sampler_cpu_percent is not None]
        return statistics.fmean(shares[2:]) if len(shares) > 2 else None


def train(seconds: float, steps_s: list[float]) -> None:
    """Make steps of fixed work for a time; what they waited for a processor that other programs had is taken off."""
    scheduler = os.open("/proc/thread-self/schedstat", os.O_RDONLY)
    end = time.perf_counter() + seconds
    waited = queued_s(scheduler)
    while (begun := time.perf_counter()) < end:
        hashlib.sha256(BLOCK)
        took, before, waited = time.perf_counter() - begun, waited, queued_s(scheduler)
        steps_s.append(max(took - (waited - before), 0.0))
    os.close(scheduler)


def queued_s(scheduler: int) -> float:
    """Seconds that this thread, ready to run, has waited for a processor (Linux: Documentation/scheduler)."""
    return int(os.pread(scheduler, 128, 0).split()[1]) / 1e9


def sampled(name: str, seconds: float, before: Callable[[], None]) -> Phase:
    """Train beside a sampler; `before` runs once the first GPU numbers are there."""
    phase = Phase(name)
    sampler = HardwareSampler(1.0, phase.samples.append)
    sampler.start()
    while not (phase.samples and phase.samples[-1].gpus):
        time.sleep(0.05)
    before()
    train(seconds, phase.steps_s)
    sampler.stop()
    return phase


def show(phases: list[Phase]) -> None:
    """A table; a step counts as delayed when it takes longer than any step did without the sampler, and 50 ms more."""
    limit = max(phases[0].steps_s) + 0.05
    print(f"{'':24}{'steps':>8}{'median ms':>11}{'longest ms':>12}{'delayed':>9}{'samples':>9}{'sampler CPU':>13}")
    for phase in phases:
        share = phase.cpu_percent()
        delayed = sum(step > limit for step in phase.steps_s)
        print(
            f"{phase.name:24}{len(phase.steps_s):8}{1000 * statistics.median(phase.steps_s):11.2f}"
            f"{1000 * max(phase.steps_s):12.1f}{delayed:9}{len(phase.samples):9}"
            f"{'n/a' if share is None else f'{share:.2f} %':>13}"
        )


def sweep(library: Path, control: Control) -> str:
    """Every NVML error code at every call, on each GPU."""
    environment = {**control.environment(library), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-m", "tests.faults.nvml.sweep"]
    report = json.loads(subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE).stdout)
    tried, failures = report["tried"], report["failures"]
    return f"NVML faults: {tried} tried, {tried - len(failures)} survived"


def mark_cost_ns() -> float:
    """Nanoseconds of one mark of the CPU's step timer."""
    timer = CpuStepTimer()
    begun = time.perf_counter()
    for _ in range(MARKS):
        timer.mark("forward")
    return (time.perf_counter() - begun) / MARKS * 1e9


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description="What a broken GPU driver does to training.")
    parser.add_argument("--hang", type=float, default=10.0, help="seconds that NVML hangs")
    hang_s = parser.parse_args().hang
    with tempfile.TemporaryDirectory() as folder:
        library, control = build(Path(folder) / "lib"), Control(Path(folder) / "control")
        print(sweep(library, control))
        os.environ.update(control.environment(library))
        control.set({"count": 8})
        plain = Phase("no sampler")
        train(min(hang_s, COMPARED_S), plain.steps_s)
        healthy = sampled("8 GPUs, 1 Hz", min(hang_s, COMPARED_S), lambda: None)
        hang = {"count": 8, "hang.nvmlDeviceGetUtilizationRates": 10 * hang_s}
        hanging = sampled(f"NVML hangs {hang_s:.0f} s", hang_s, lambda: control.set(hang))
        show([plain, healthy, hanging])
    print(f"step timer: {mark_cost_ns():.0f} ns a mark on the CPU")


if __name__ == "__main__":
    main()
