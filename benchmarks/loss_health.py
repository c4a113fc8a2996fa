"""Does the loss's health cry wolf, and does it see what is wrong? python -m benchmarks.loss_health [--quick]

Small tasks are really trained here, and every step's loss and every evaluation goes to LossHealth as it would in a
run; it is asked every fifth step. Beside it the obvious test for an unstable training: the standard deviation of the
last 50 losses (10 or more) over their mean is above 0.3, or one of them is not finite.

Runs are of known kinds:

- good: three learning rates that train well, every sample seen once; any verdict is a false alarm.
- too high: 10 to 3,000 times the good rate. Only those count that end worse than they began, or not at all (NaN).
- too low: a ten-thousandth of the good rate. Detected is the verdict "barely moving".
- overfitting: a net that learns 96 samples by heart, with the labels of the others to be predicted. Only those count
  whose validation loss ends 10 % or more above its best.
- spikes: the losses of the good runs, one of them made five times the largest of the 100 before it. Detected is a
  spike at that step; false alarms are spikes at any other step of the good runs, for 1,000 steps.

The thresholds in src/bsmon/advisor were set on other runs; those of this table have seeds from 10 on.
"""

from __future__ import annotations

import argparse
import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from statistics import fmean, pstdev

import torch
from torch import Tensor, nn

from bsmon.advisor.loss_health import LossHealth

NAIVE_STEPS, NAIVE_LEAST, NAIVE_SPREAD = 50, 10, 0.3
CLASSES, FEATURES = 4, 20
EVERY = 20
"""Steps between two evaluations."""
ASK_EVERY = 5
SPIKE, SPIKE_AFTER = 5.0, 150


@dataclass(frozen=True, slots=True)
class Task:
    """A small training; `rate` is a learning rate that trains it well with its optimizer."""

    name: str
    optimizer: type[torch.optim.Optimizer]
    rate: float
    hidden: int = 64
    noise: float = 0.1  # share of labels drawn at random
    convolution: bool = False


TASKS = (
    Task("mlp, SGD", torch.optim.SGD, 0.1),
    Task("mlp, Adam", torch.optim.Adam, 3e-3),
    Task("cnn, SGD", torch.optim.SGD, 0.1, convolution=True),
    Task("linear, Adam", torch.optim.Adam, 1e-2, hidden=0),
    Task("noisy labels, SGD", torch.optim.SGD, 0.05, noise=0.5),
)


@dataclass
class Trace:
    """What a run's losses were: of every step, and now and then of the validation set."""

    batch_size: int
    losses: list[float] = field(default_factory=list)
    validation: dict[int, float] = field(default_factory=dict)  # by steps made before it

    @property
    def is_broken(self) -> bool:
        """Whether it ended as NaN, or above what it began with."""
        start, end = self.losses[:20], self.losses[-50:]
        return not all(map(math.isfinite, self.losses)) or fmean(end) > 1.05 * fmean(start)

    @property
    def overfits(self) -> bool:
        """Whether the validation loss ended well above its best."""
        losses = list(self.validation.values())
        return losses[-1] > 1.1 * min(losses)


def samples(task: Task, count: int, chance: torch.Generator, centres: Tensor) -> tuple[Tensor, Tensor]:
    """Overlapping clouds, one a class."""
    y = torch.randint(CLASSES, (count,), generator=chance)
    x = centres[y] + torch.randn(count, FEATURES, generator=chance)
    wrong = torch.rand(count, generator=chance) < task.noise
    return x, torch.where(wrong, torch.randint(CLASSES, (count,), generator=chance), y)


def model_for(task: Task) -> nn.Module:
    """The task's net."""
    if task.convolution:
        return nn.Sequential(
            nn.Unflatten(1, (1, FEATURES)),
            nn.Conv1d(1, 16, 5, padding=2),
            nn.BatchNorm1d(16),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(16 * FEATURES, CLASSES),
        )
    if not task.hidden:
        return nn.Linear(FEATURES, CLASSES)
    return nn.Sequential(nn.Linear(FEATURES, task.hidden), nn.ReLU(), nn.Linear(task.hidden, CLASSES))


def trained(task: Task, factor: float, seed: int, *, batch_size: int, steps: int, size: int | None = None) -> Trace:
    """Train at `factor` times the good rate; stops at the first loss that is no number.

    `size`: samples to train on; None for so many that each is seen once, where nothing can be learned by heart.
    """
    torch.manual_seed(seed)
    chance = torch.Generator().manual_seed(seed)
    centres = torch.randn(CLASSES, FEATURES, generator=chance) * 0.7
    (x, y), (vx, vy) = samples(task, size or steps * batch_size, chance, centres), samples(task, 400, chance, centres)
    model = model_for(task)
    optimizer = task.optimizer(model.parameters(), lr=task.rate * factor)  # type: ignore[call-arg]  # SGD and Adam
    trace = Trace(batch_size)
    for step in range(1, steps + 1):
        once = torch.arange((step - 1) * batch_size, step * batch_size)
        rows = once if size is None else torch.randint(size, (batch_size,), generator=chance)
        loss = nn.functional.cross_entropy(model(x[rows]), y[rows])
        trace.losses.append(loss.item())
        if not math.isfinite(trace.losses[-1]):
            break
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        if step % EVERY == 0:
            model.eval()
            with torch.no_grad():
                trace.validation[step] = nn.functional.cross_entropy(model(vx), vy).item()
            model.train()
    return trace


@dataclass(slots=True)
class Verdict:
    """What was said of a run at any time, and at which step first."""

    unstable: int | None = None
    barely_moving: int | None = None
    overfitting: int | None = None
    spikes: tuple[int, ...] = ()
    naive: int | None = None


def judge(trace: Trace) -> Verdict:
    """Feed a trace to both tests, as a run would."""
    health, found = LossHealth(), Verdict()
    for step, loss in enumerate(trace.losses, 1):
        if health.step(loss, trace.batch_size):
            found.spikes += (step,)
        if step in trace.validation:
            health.evaluation(trace.validation[step])
        if step % ASK_EVERY and step < len(trace.losses):
            continue
        said = health.health()
        for name in ("unstable", "barely_moving", "overfitting"):
            if getattr(said, name) and getattr(found, name) is None:
                setattr(found, name, step)
    found.naive = naive(trace.losses)
    return found


def naive(losses: Sequence[float]) -> int | None:
    """The first step at which the spread of the recent losses is above 0.3 of their mean; None where never."""
    for step in range(NAIVE_LEAST, len(losses) + 1):
        recent = losses[max(0, step - NAIVE_STEPS) : step]
        if not math.isfinite(sum(recent)) or pstdev(recent) > NAIVE_SPREAD * fmean(recent):
            return step
    return None


def seeds(count: int) -> range:
    """Those on which nothing was set."""
    return range(10, 10 + count)


def good_runs(quick: bool) -> Iterator[Trace]:
    """Every task at three good rates and three batch sizes."""
    for task in TASKS:
        for factor in (0.3, 1.0, 2.0):
            for batch_size in (4, 16, 64) if not quick else (16,):
                for seed in seeds(1 if quick else 2):
                    yield trained(task, factor, seed, batch_size=batch_size, steps=400 if quick else 800)


def broken_runs(quick: bool) -> Iterator[Trace]:
    """Every task at rates that are too high; those that go wrong."""
    for task in TASKS:
        for factor in (10, 30, 100, 1000, 3000):
            for batch_size in (16,) if quick else (4, 16, 64):
                for seed in seeds(1 if quick else 2):
                    trace = trained(task, factor, seed, batch_size=batch_size, steps=400)
                    if trace.is_broken:
                        yield trace


def still_runs(quick: bool) -> Iterator[Trace]:
    """Every task at a rate that is far too low."""
    for task in TASKS:
        for batch_size in (16,) if quick else (4, 16, 64):
            for seed in seeds(1 if quick else 2):
                yield trained(task, 1e-4, seed, batch_size=batch_size, steps=800)


def overfitting_runs(quick: bool) -> Iterator[Trace]:
    """Nets that learn a few samples by heart; those whose validation loss rises."""
    for task in TASKS[:2]:
        for seed in seeds(4 if quick else 8):
            trace = trained(task, 1.0, seed, batch_size=16, steps=800, size=96)
            if trace.overfits:
                yield trace


def with_spike(trace: Trace, chance: random.Random) -> tuple[Trace, int]:
    """The trace with one loss five times the largest of the hundred before it, and its step."""
    step = chance.randrange(SPIKE_AFTER, len(trace.losses) - 1)
    losses = list(trace.losses)
    losses[step - 1] = SPIKE * max(losses[step - 101 : step - 1])
    return Trace(trace.batch_size, losses, trace.validation), step


def row(name: str, runs: int, flagged: int, naively: int | None, note: str) -> None:
    """Print a line of the table; `naively` None where the obvious test has no such verdict."""
    print(f"{name:<34}{runs:>6}{flagged:>14}{'-' if naively is None else naively:>18}   {note}", flush=True)


def count(verdicts: Sequence[Verdict], name: str) -> int:
    """How many runs got this verdict at any time."""
    return sum(getattr(found, name) is not None for found in verdicts)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer seeds and batch sizes")
    quick = parser.parse_args().quick
    torch.set_num_threads(1)
    print(f"{'':<34}{'runs':>6}{'loss health':>14}{'spread > 0.3':>18}")
    good = list(good_runs(quick))
    verdicts = [judge(trace) for trace in good]
    row("good, called unstable", len(good), count(verdicts, "unstable"), count(verdicts, "naive"), "false alarms")
    row("good, called barely moving", len(good), count(verdicts, "barely_moving"), None, "false alarms")
    row("good, called overfitting", len(good), count(verdicts, "overfitting"), None, "false alarms")
    too_high(quick)
    still = [judge(trace) for trace in still_runs(quick)]
    row("too low, called barely moving", len(still), count(still, "barely_moving"), None, "detections")
    fitted = [judge(trace) for trace in overfitting_runs(quick)]
    row("overfitting, called so", len(fitted), count(fitted, "overfitting"), None, "detections")
    spikes(good, verdicts)


def too_high(quick: bool) -> None:
    """Print the line about learning rates that are too high, and how many were seen before the first NaN."""
    broken = list(broken_runs(quick))
    verdicts = [judge(trace) for trace in broken]
    pairs = zip(broken, verdicts, strict=True)
    ended = [(trace, found) for trace, found in pairs if not math.isfinite(trace.losses[-1])]
    early = sum((found.unstable or math.inf) < len(trace.losses) for trace, found in ended)
    note = f"detections; {early} of the {len(ended)} that end in NaN before it"
    row("too high, called unstable", len(broken), count(verdicts, "unstable"), count(verdicts, "naive"), note)


def spikes(good: Sequence[Trace], verdicts: Sequence[Verdict]) -> None:
    """Print the line about spikes: put into good runs, and found where none was put."""
    chance, seen = random.Random(0), 0
    for trace in good:
        spiked, step = with_spike(trace, chance)
        # Losses of fewer than four samples are looked at in groups, which end up to three steps later.
        seen += any(step <= found < step + 4 for found in judge(spiked).spikes)
    steps, false = sum(len(trace.losses) for trace in good), sum(len(found.spikes) for found in verdicts)
    row(
        "a spike put into a good run",
        len(good),
        seen,
        None,
        f"detections; elsewhere {1000 * false / steps:.2f} a 1,000 steps",
    )


if __name__ == "__main__":
    main()
