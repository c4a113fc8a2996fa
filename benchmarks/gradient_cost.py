"""What measuring gradients costs: python -m benchmarks.gradient_cost [--seconds 8]

Six model and batch combinations on the CPU with one thread. For each, two plain loops and one with the probes take
turns in blocks of half a second, so that all meet the same machine. "slower" is the median over pairs of blocks of
the thread's CPU time a step, watched over plain (wall-clock time would count whoever else uses the machine), with the
middle half of the pairs. "control" is the same for the second plain loop: what it is off 0 is the machine's.

"one ..." columns are single measurements as a share of a plain step, which the schedule spreads over its stride: all
statistics by the naive loop, by the probes, and one towards the noise scale. "strides" are those of the last two
measurements of statistics and noise scale. "counted" is what the probes say that they cost in all, by the wall clock
and with the first measurements, which the schedule does not charge.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from statistics import quantiles
from time import perf_counter, thread_time

import torch
from torch import Tensor, nn

from bsmon.config.schema import CharTransformerModel, CnnModel, MlpModel
from bsmon.core.gradients import Measurement
from bsmon.engine.tasks.char_transformer import CharTransformer
from bsmon.engine.tasks.cnn import Cnn
from bsmon.engine.tasks.mlp import Mlp
from bsmon.telemetry.gradients import GradientProbes

CPU = torch.device("cpu")
BLOCK_S = 0.5
CLASSES = 10
CONTEXT = 64

Make = Callable[[], nn.Module]


def vectors(rows: int) -> tuple[Tensor, Tensor]:
    """Random inputs of 64 numbers and labels."""
    return torch.randn(rows, 64), torch.randint(0, CLASSES, (rows,))


def images(rows: int) -> tuple[Tensor, Tensor]:
    """Random 16x16 images and labels."""
    return torch.randn(rows, 1, 16, 16), torch.randint(0, CLASSES, (rows,))


def tokens(rows: int) -> tuple[Tensor, Tensor]:
    """Random tokens, and the ones to predict."""
    return torch.randint(0, CLASSES, (rows, CONTEXT)), torch.randint(0, CLASSES, (rows, CONTEXT))


COMBINATIONS: list[tuple[str, Make, Callable[[int], tuple[Tensor, Tensor]], tuple[int, ...]]] = [
    ("mlp 64-128-10, 32", lambda: Mlp((64,), CLASSES, MlpModel()), vectors, (32,)),
    ("mlp 64-128-10, 4 x 8", lambda: Mlp((64,), CLASSES, MlpModel()), vectors, (8,) * 4),
    ("mlp 64-512-512-10, 256", lambda: Mlp((64,), CLASSES, MlpModel(hidden=(512, 512))), vectors, (256,)),
    ("cnn batch norm, 32", lambda: Cnn(1, CLASSES, CnnModel()), images, (32,)),
    ("cnn batch norm, 128", lambda: Cnn(1, CLASSES, CnnModel()), images, (128,)),
    (
        "transformer 128 x 4, 16",
        lambda: CharTransformer(CLASSES, CONTEXT, CharTransformerModel(width=128, layers=4)),
        tokens,
        (16,),
    ),
]


class Loop:
    """A training loop, watched or not."""

    def __init__(self, make: Make, batch: tuple[Tensor, Tensor], sizes: Sequence[int], *, watched: bool) -> None:
        torch.manual_seed(0)
        self.model = make()
        self.sizes = sizes
        self._optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-3, fused=True)
        self._x, self._y = batch
        self._step = 0
        records: list[Measurement] = []
        self.probes = GradientProbes(self.model, CPU, records.append) if watched else None

    def run(self, seconds: float) -> float:
        """Train for so long; returns the mean CPU time of a step in seconds."""
        began, first, cpu = perf_counter(), self._step, thread_time()
        while perf_counter() - began < seconds:
            self.step()
        took = thread_time() - cpu
        if self.probes is not None:
            self.probes.paused()
        return took / (self._step - first)

    def step(self) -> None:
        """One update, with the calls that the engine makes."""
        self._step += 1
        probes, at, rows = self.probes, 0, sum(self.sizes)
        if probes is not None:
            probes.begin(self._step, self.sizes)
        self._optimizer.zero_grad(set_to_none=True)
        for index, size in enumerate(self.sizes):
            scores = self.model(self._x[at : at + size])
            loss = nn.functional.cross_entropy(scores.flatten(0, -2), self._y[at : at + size].flatten())
            torch.autograd.backward(loss * (size / rows))
            at += size
            if probes is not None:
                probes.backward_done(index)
        if probes is not None:
            probes.gradients_ready(None)
        self._optimizer.step()
        if probes is not None:
            probes.updated(1e-3)


def naive(model: nn.Module) -> list[float]:
    """Five statistics of every gradient, each read at once: the loop that most people write."""
    found: list[float] = []
    for parameter in model.parameters():
        g = parameter.grad
        if g is not None:
            found += [g.norm().item(), g.abs().mean().item(), g.std().item(), g.min().item(), g.max().item()]
    return found


def best(work: Callable[[], object], repeats: int = 15) -> float:
    """Shortest CPU time of `work` in seconds."""
    times = []
    for _ in range(repeats):
        began = thread_time()
        work()
        times.append(thread_time() - began)
    return min(times)


def row(make: Make, batch: tuple[Tensor, Tensor], sizes: Sequence[int], seconds: float) -> str:
    """The table's numbers of one combination."""
    loops = [Loop(make, batch, sizes, watched=on) for on in (False, False, True)]
    plain, watched = loops[0], loops[-1]
    for loop in loops:
        loop.run(BLOCK_S)
    step_s, naive_s = best(plain.step), best(lambda: naive(plain.model))
    times: list[list[float]] = [[], [], []]
    for turn in range(max(6, int(seconds / BLOCK_S))):
        for index in (range(3), reversed(range(3)))[turn % 2]:
            times[index].append(loops[index].run(BLOCK_S))
    probes = watched.probes
    assert probes is not None
    assert probes.noise is not None
    schedules = (probes.schedule, probes.noise.schedule)
    ones = [schedule.cost_s / schedule.count / step_s for schedule in schedules]
    strides = "/".join(str(schedule.stride) for schedule in schedules)
    return (
        f"{step_s * 1e3:>9.2f}{naive_s / step_s:>11.0%}{ones[0]:>11.0%}{ones[1]:>11.0%}{strides:>13}"
        f"{probes.cost_share or 0:>11.2%}{slower(times[0], times[2]):>22}{slower(times[0], times[1]):>22}"
    )


def slower(plain: Sequence[float], other: Sequence[float]) -> str:
    """How much more time the other took: the median over pairs and their middle half."""
    low, middle, high = quantiles([b / a - 1 for a, b in zip(plain, other, strict=True)], n=4)
    return f"{middle:+.1%} ({low:+.0%} to {high:+.0%})"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=8.0, help="per combination and loop")
    seconds = parser.parse_args().seconds
    torch.set_num_threads(1)
    heads = ("step ms", "one naive", "one stats", "one noise", "strides", "counted", "slower", "control")
    print("{:<24}{:>9}{:>11}{:>11}{:>11}{:>13}{:>11}{:>22}{:>22}".format("model, batch", *heads))
    for name, make, batch_of, sizes in COMBINATIONS:
        print(f"{name:<24}{row(make, batch_of(sum(sizes)), sizes, seconds)}", flush=True)


if __name__ == "__main__":
    main()
