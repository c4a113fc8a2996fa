"""The tables of benchmarks/advice.py."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from bsmon.advisor.updates_per_epoch import largest_batch_size
from bsmon.core.advice import NoiseScale

START = 32


@dataclass(slots=True)
class Seed:
    """One task with one seed: seconds to the target by batch size (infinite where given up), and the rest."""

    samples: int
    learning_rate: float  # at 32
    updates: int  # of the run at 32
    probe: float  # what one noise probe costs, in updates at 32
    seconds: dict[int, float]
    retuned: dict[int, float]  # the same with the best of three learning rates; empty where that was not asked for
    advised: int
    careful: int  # with evaluations
    lightning: float
    switched: float
    changes: list[tuple[int, str]]
    noise_scale: NoiseScale
    good: int  # runs that reached the target
    unstable: int  # of these, called unstable at any time
    barely_moving: int


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
        "careful": _mean([seed.seconds[seed.careful] for seed in seeds]),
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
    if any(seed.retuned for row in rows for seed in row.seeds):
        show_retuned(rows)
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


def show_retuned(rows: Sequence[Row]) -> None:
    """The sweep with the best of three learning rates at every size, and the advice against the best of that."""
    sizes = sorted(rows[0].seconds)
    print("\nThe same with the best of three learning rates at every size, and what the advised size lost\n")
    print(f"{'task':17}" + "".join(f"{size:>7}" for size in sizes) + f"{'advice':>11}")
    for row in rows:
        seconds = {size: _mean([seed.retuned[size] for seed in row.seeds]) for size in sizes}
        lost = _mean([seed.retuned[seed.advised] for seed in row.seeds]) / min(seconds.values()) - 1
        print(f"{row.name:17}" + "".join(f"{_time(seconds[size]):>7}" for size in sizes) + f"{_percent(lost):>11}")


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
