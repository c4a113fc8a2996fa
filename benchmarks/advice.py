"""How good is the advice? From one run at batch size 32, against a sweep over 1 to 512 and three other habits.

    python -m benchmarks.advice [--tasks digits-cnn text] [--seeds 2] [--quick]

For each task, seed and batch size: CPU seconds of one thread until the training loss reaches a target. The seconds
are updates x the step time of the batch size, which is measured once, in CPU time: a busy machine changes them little.
The learning rate at 32 is the best of four, a factor of about three apart; at every other size it follows from that by
bsmon's default rule. All runs of a seed start from the same weights.

advice     what the advisor says halfway through the run at 32, followed until it says keep. It is told the step times
           at 8, 32 and 128. It never goes above N/7, for 7 updates per epoch (guidelines, A section 2)
in limits  the same against the best size up to N/7
largest    512 stands for the largest size that fits
Lightning  the rule of Lightning's BatchSizeFinder in mode "power", not Lightning itself: the largest that fits, at the
           learning rate of the smaller size
switch     a run that starts at 32 and does at once what the advisor says

A run is good when it reached its target; no good run should ever be called unstable.
"""

from __future__ import annotations

import argparse
import math
import platform
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from benchmarks.advice_runs import LARGEST, SIZES, Bench, NoiseWatch, Run, measure_step_times
from benchmarks.advice_tasks import TASKS, Task
from bsmon.advisor.evidence import Evidence, Limits
from bsmon.advisor.tree import assess
from bsmon.advisor.updates_per_epoch import largest_batch_size
from bsmon.core.advice import Action, NoiseScale
from bsmon.engine.build import build
from bsmon.engine.device import device_name
from bsmon.engine.trial import Trial

START = 32
REFERENCE_STEPS = 6000  # at 32; a task that needs more is too long for this benchmark
GRID = (1.0, 0.3, 3.0, 10.0)  # times the task's learning rate
PATIENCE = 3.0  # times the run at 32: a size that takes longer is given up


@dataclass(slots=True)
class Seed:
    """One task with one seed: seconds to the target by batch size (infinite where given up), and the rest."""

    samples: int
    learning_rate: float  # at 32
    updates: int  # of the run at 32
    seconds: dict[int, float]
    advised: int
    lightning: float
    switched: float
    changes: list[tuple[int, str]]
    noise_scale: NoiseScale
    good: int  # runs that reached the target
    unstable: int  # of these, called unstable at any time
    barely_moving: int


def measure(task: Task, seed: int) -> Seed:
    """All runs of one task and seed."""
    noise = NoiseWatch()
    trial = Trial(build(task.config(seed), lambda _: None), noise)
    noise.attach(trial.parts.model)
    bench = Bench(trial, noise, measure_step_times(trial), task.target)
    rate, reference = tune(bench)
    most = PATIENCE * _seconds(reference)
    halfway = reference.evidence[len(reference.evidence) // 2]
    runs = {START: reference}
    for size in SIZES:
        if size != START:
            runs[size] = bench.run(size, rate * bench.factor(START, size, halfway.noise_scale), most)
    switched = bench.run(START, rate, most, obey=True)
    lightning = bench.run(min(LARGEST, trial.samples), rate, most)
    good = [run for run in (*runs.values(), switched, lightning) if run.seconds is not None]
    trial.close()
    return Seed(
        samples=trial.samples,
        learning_rate=rate,
        updates=reference.steps,
        seconds={size: _seconds(run) for size, run in runs.items()},
        advised=follow(halfway),
        lightning=_seconds(lightning),
        switched=_seconds(switched),
        changes=switched.changes,
        noise_scale=halfway.noise_scale,
        good=len(good),
        unstable=sum(run.unstable for run in good),
        barely_moving=sum(run.barely_moving for run in good),
    )


def tune(bench: Bench) -> tuple[float, Run]:
    """The best learning rate of the grid at 32, and the run with it."""
    most = REFERENCE_STEPS * bench.times.at(START)
    best: tuple[float, Run] | None = None
    for factor in GRID:
        rate = factor * bench.learning_rate
        run = bench.run(START, rate, most, look=True)
        if run.seconds is not None:
            best, most = (rate, run), run.seconds
    if best is None:
        raise SystemExit(f"{bench.target} is not reached at {START} within {REFERENCE_STEPS} updates")
    return best


def follow(evidence: Evidence) -> int:
    """The batch size that the advice comes to: at most a factor of four a move, until it says keep."""
    for _ in SIZES:
        advice = assess(evidence, Limits(1, LARGEST)).advice
        if advice is None or advice.action is not Action.BATCH:
            break
        evidence = replace(
            evidence,
            batch_size=advice.new_batch_size,
            micro_batch_size=advice.new_batch_size,
            learning_rate=advice.new_learning_rate,
        )
    return evidence.batch_size


def _seconds(run: Run) -> float:
    return math.inf if run.seconds is None else run.seconds


@dataclass(slots=True)
class Row:
    """A task over its seeds: what each habit lost against the best size of the sweep, 0.1 = 10 % more time."""

    name: str
    best: int
    seconds: dict[int, float]
    lost: dict[str, float]
    seeds: list[Seed]


def summarise(name: str, seeds: list[Seed]) -> Row:
    """Geometric means over the seeds; infinite where one of them did not get there."""
    sizes = sorted(seeds[0].seconds)
    seconds = {size: _mean([seed.seconds[size] for seed in seeds]) for size in sizes}
    best = min(sizes, key=seconds.__getitem__)
    allowed = min(seconds[size] for size in sizes if size <= largest_batch_size(seeds[0].samples))
    taken = {
        "advice": _mean([seed.seconds[seed.advised] for seed in seeds]),
        "always 32": seconds[START],
        "largest": seconds[sizes[-1]],
        "Lightning": _mean([seed.lightning for seed in seeds]),
        "switch": _mean([seed.switched for seed in seeds]),
    }
    lost = {habit: time_s / seconds[best] - 1 for habit, time_s in taken.items()}
    lost = {"advice": lost.pop("advice"), "in limits": taken["advice"] / allowed - 1, **lost}
    return Row(name, best, seconds, lost, seeds)


def _mean(seconds: Sequence[float]) -> float:
    return math.inf if math.inf in seconds else statistics.geometric_mean(seconds)


def show(rows: Sequence[Row]) -> None:
    """The tables."""
    habits = list(rows[0].lost)
    print("Time to the target over the best size of the sweep, minus 1 (given up: over three times the run at 32)\n")
    print(f"{'task':17} {'best':>5} {'advised':>9} {'noise scale':>11}" + "".join(f"{habit:>11}" for habit in habits))
    for row in rows:
        scales = "/".join(_scale(seed.noise_scale) for seed in row.seeds)
        advised = "/".join(str(seed.advised) for seed in row.seeds)
        lost = "".join(f"{_percent(row.lost[habit]):>11}" for habit in habits)
        print(f"{row.name:17} {row.best:>5} {advised:>9} {scales:>11}{lost}")
    for name, statistic in (("median", statistics.median), ("worst", max)):
        values = "".join(f"{_percent(statistic([row.lost[habit] for row in rows])):>11}" for habit in habits)
        print(f"{name:17} {'':>5} {'':>9} {'':>11}{values}")
    show_switches(rows)
    show_sweep(rows)
    show_alarms(rows)


def show_switches(rows: Sequence[Row]) -> None:
    """What the switching runs did, and their time against staying at 32."""
    print("\nSwitching in mid-run against staying at 32\n")
    for row in rows:
        gained = (1 + row.lost["switch"]) / (1 + row.lost["always 32"]) - 1
        said = "; ".join(f"step {step}: {what}" for step, what in row.seeds[0].changes) or "no change"
        print(f"{row.name:17} {_percent(gained):>8}  first seed: {said}")


def show_sweep(rows: Sequence[Row]) -> None:
    """Seconds by batch size."""
    sizes = sorted(rows[0].seconds)
    print("\nSeconds to the target by batch size\n")
    print(f"{'task':17}" + "".join(f"{size:>7}" for size in sizes) + "   learning rate, updates at 32")
    for row in rows:
        at_32 = ", ".join(f"{seed.learning_rate:.2g} {seed.updates:,}" for seed in row.seeds)
        print(f"{row.name:17}" + "".join(f"{_time(row.seconds[size]):>7}" for size in sizes) + f"   {at_32}")


def show_alarms(rows: Sequence[Row]) -> None:
    """False alarms over all good runs."""
    seeds = [seed for row in rows for seed in row.seeds]
    good = sum(seed.good for seed in seeds)
    print(f"\nGood runs called unstable: {sum(seed.unstable for seed in seeds)} of {good}")
    print(f"Good runs called barely moving: {sum(seed.barely_moving for seed in seeds)} of {good}")


def _scale(found: NoiseScale) -> str:
    if found.value is not None:
        return f"{found.value:.0f}"
    return "n/a" if found.low is None else f">{found.low:.0f}"


def _time(seconds: float) -> str:
    return "-" if math.isinf(seconds) else f"{seconds:.2f}"


def _percent(share: float) -> str:
    return "given up" if math.isinf(share) else f"{share:+.0%}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--tasks", nargs="+", choices=[task.name for task in TASKS], metavar="NAME")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="one seed")
    given = parser.parse_args()
    seeds = 1 if given.quick else given.seeds
    began, wall = time.process_time(), time.monotonic()
    rows = []
    for task in (task for task in TASKS if not given.tasks or task.name in given.tasks):
        rows.append(summarise(task.name, [measure(task, seed) for seed in range(seeds)]))
        print(f"... {task.name} done after {time.monotonic() - wall:.0f} s", flush=True)
    machine = device_name(torch.device("cpu"))
    print(f"\n{machine}, one thread, torch {torch.__version__}, Python {platform.python_version()}")
    print(f"{seeds} seeds, batch sizes {SIZES[0]} to {SIZES[-1]}; {time.process_time() - began:.0f} s of CPU\n")
    show(rows)


if __name__ == "__main__":
    main()
