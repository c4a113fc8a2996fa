"""What things cost, in CPU time of one thread, measured once for each task: a busy machine changes it little."""

from __future__ import annotations

import statistics
import time
from bisect import bisect_left
from collections.abc import Mapping, Sequence

import torch

from bsmon.advisor.goodput import ThroughputPoint
from bsmon.core.records import ProbedSpeed, Step
from bsmon.engine.assemble import make_updater
from bsmon.engine.batches import split
from bsmon.engine.feed import load_batch
from bsmon.engine.trial import Trial
from bsmon.engine.watch import NoTimer, NoWatch
from bsmon.session.throughput import StepTimes
from bsmon.telemetry.cost import CostMeter
from bsmon.telemetry.noise_split import SplitProbe

SIZES = tuple(1 << power for power in range(10))
ROUNDS, WARM_UP, TIMED_STEPS = 6, 3, 8
PASSES = 4  # of a speed probe; the first warms up, and the quickest of the others counts


class Times:
    """Seconds of CPU by batch size: of a whole update, and of the forward and backward passes alone."""

    def __init__(self, updates: Mapping[int, Sequence[float]], passes: Mapping[int, float], probe: float) -> None:
        self._sizes = sorted(updates)
        # The lower quartile: whatever else runs on the machine only ever makes a step slower.
        self._seconds = [statistics.quantiles(updates[size], n=4)[0] for size in self._sizes]
        self._updates, self._passes = updates, passes
        self.probe = probe
        """What one noise probe costs, in updates."""

    def at(self, rows: int) -> float:
        """Seconds of an update with so many rows; between two measured sizes a straight line."""
        right = min(max(bisect_left(self._sizes, rows), 1), len(self._sizes) - 1)
        (low, high), (quick, slow) = self._sizes[right - 1 : right + 1], self._seconds[right - 1 : right + 1]
        return quick + (slow - quick) * (rows - low) / (high - low)

    def points(self, run: Sequence[int]) -> tuple[ThroughputPoint, ...]:
        """What the advisor is told: the sizes run so far, the present one last, and what the speed probe finds.

        As the product does it (engine/speed_probe.py, session/throughput.py): steps at the sizes run; at a quarter
        and four times the present one passes without the optimizer's step.
        """
        told = StepTimes()
        for size in run:
            told.changed(size)
            told.add([_step(size, seconds) for seconds in self._updates[size]])
        for size in (run[-1] // 4, run[-1], run[-1] * 4):
            if size in self._passes:
                told.probed(ProbedSpeed(1, size, self._passes[size]))
        return told.points()


def _step(size: int, seconds: float) -> Step:
    return Step(1, 1, size, size, size, 0.0, None, 0.0, seconds, 0.0)


def measure_times(trial: Trial, start: int) -> Times:
    """In rounds over all sizes, so that all of them meet the same machine."""
    updates: dict[int, list[float]] = {size: [] for size in SIZES}
    passes: dict[int, list[float]] = {size: [] for size in SIZES}
    probes: list[float] = []
    for _ in range(ROUNDS):
        for size in SIZES:
            updates[size].extend(_update_seconds(trial, size))
            passes[size].append(_pass_seconds(trial, size))
        probes.append(_probe_seconds(trial, start))
    probe = statistics.median(probes) / statistics.median(updates[start])
    return Times(updates, {size: statistics.median(found) for size, found in passes.items()}, probe)


def _update_seconds(trial: Trial, size: int) -> list[float]:
    trial.begin(size)
    seconds: list[float] = []
    while len(seconds) < TIMED_STEPS:
        consumed = trial.parts.cursor.consumed
        began = time.thread_time()
        trial.update(0.0).item()
        took = time.thread_time() - began
        if trial.step > WARM_UP and trial.parts.cursor.consumed - consumed == size:  # an epoch's last may be short
            seconds.append(took)
    return seconds


def _pass_seconds(trial: Trial, size: int) -> float:
    parts = trial.parts
    updater = make_updater(parts, NoWatch(), NoTimer())
    micro_batches = split(load_batch(parts.data.train, torch.arange(size)), [size])
    seconds = []
    for _ in range(PASSES):
        began = time.thread_time()
        updater.gradients(1, micro_batches, [size])
        seconds.append(time.thread_time() - began)
        updater.forget()
    return min(seconds[1:])


def _probe_seconds(trial: Trial, size: int) -> float:
    """CPU time that a gradient takes longer with the split probe than without."""
    watch = _Always(trial.parts.model)
    plain, probed = (make_updater(trial.parts, seen, NoTimer()) for seen in (NoWatch(), watch))
    micro_batches = split(load_batch(trial.parts.data.train, torch.arange(size)), [size])
    seconds: list[list[float]] = [[], []]
    for _ in range(2 * TIMED_STEPS):
        for updater, times in zip((plain, probed), seconds, strict=True):
            began = time.thread_time()
            updater.gradients(1, micro_batches, [size])
            times.append(time.thread_time() - began)
            updater.forget()
    without, with_probe = (statistics.median(times[WARM_UP:]) for times in seconds)
    return max(0.0, with_probe - without)


class _Always(NoWatch):
    """Probes every update, and reads the result."""

    def __init__(self, model: torch.nn.Module) -> None:
        self._probe = SplitProbe(model, tuple(model.parameters()), CostMeter(torch.device("cpu")))

    def begin(self, step: int, micro_sizes: Sequence[int]) -> None:
        """See engine.watch.Watch."""
        del step
        self._probe.arm(micro_sizes[0])

    def gradients_ready(self, norm: torch.Tensor | None) -> None:
        """See engine.watch.Watch."""
        del norm
        part = self._probe.finish(1, torch.ones(1))
        if part is not None:
            part.decode(part.values.tolist())
