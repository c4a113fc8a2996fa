"""How right the gradient noise scale is: python -m benchmarks.noise_scale [--trials 200]

1. Linear regression at fixed weights, where tr(Sigma) / |G|^2 is known on paper: how often the true value lies in the
   90 % interval after 64 probes at batch size 32, for each estimator. "resolved": the interval has an upper end.
2. Small nets, trained a little and then frozen: the probes' ratio beside the exact one. Exact is from every example's
   own gradient, and for the net with BatchNorm, where examples have none of their own, from the variance of the
   gradient over 20,000 random batches. BatchNorm over a micro batch of 8, or a rank's share of 10 or 11, makes another
   gradient than over the batch of 32, and another noise scale; the exact one is for 32.

All samples are drawn independently. Weights stay as they are, so consecutive gradients are not biased here; in a
training they are.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator, Sequence
from statistics import median

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from bsmon.advisor.noise_scale import NoiseScaleEstimator
from bsmon.config.schema import CharTransformerModel
from bsmon.core.gradients import NoiseSample
from bsmon.engine.tasks.char_transformer import CharTransformer
from bsmon.telemetry.cost import CostMeter
from bsmon.telemetry.noise_consecutive import ConsecutiveGradients
from bsmon.telemetry.noise_micro import MicroBatchSplit
from bsmon.telemetry.noise_ranks import RankSplit
from bsmon.telemetry.noise_split import SplitProbe
from bsmon.telemetry.parameters import Sample
from bsmon.telemetry.part import Part

CPU = torch.device("cpu")
ONE = torch.ones(1)
BATCH = 32
PROBES = 64
Draw = Callable[[int], tuple[Tensor, Tensor]]
Loss = Callable[[Tensor, Tensor], Tensor]


class Bench:
    """One frozen model, measured over and over on fresh samples."""

    def __init__(self, model: nn.Module, draw: Draw, loss: Loss) -> None:
        self.model, self.draw, self.loss = model, draw, loss
        self.parameters = list(model.parameters())
        meter = CostMeter(CPU)
        self._split = SplitProbe(model, self.parameters, meter)
        self._micro = MicroBatchSplit(self.parameters, meter)
        self._ranks = RankSplit()
        self._consecutive = ConsecutiveGradients(Sample(self.parameters))
        self._step = 0

    def backward(self, rows: int, weight: float = 1.0) -> None:
        """Add the mean gradient of fresh samples, times `weight`, to `.grad`."""
        x, y = self.draw(rows)
        torch.autograd.backward(self.loss(self.model(x), y) * weight)

    def split(self) -> Part | None:
        """One measurement by the split probe."""
        self._split.arm(BATCH)
        self.backward(BATCH)
        return self._split.finish(1, ONE)

    def micro_batches(self, steps: int = 4) -> Part | None:
        """One measurement from micro batches."""
        self._micro.arm([BATCH // steps] * steps)
        for _ in range(steps):
            self.backward(BATCH // steps, 1 / steps)
            self._micro.backward_done()
        return self._micro.finish(1, torch.nn.utils.get_total_norm(self.gradients()), ONE)

    def ranks(self, sizes: tuple[int, ...] = (11, 11, 10)) -> Part | None:
        """One measurement from ranks, whose shares are as even as can be: each one's gradient before they are added."""
        self._ranks.arm(sizes)
        total, squares = [torch.zeros_like(p) for p in self.parameters], []
        for size in sizes:
            self.clear()
            self.backward(size, size / BATCH)
            squares.append(torch.stack([g.square().sum() for g in self.gradients()]).sum())
            torch._foreach_add_(total, self.gradients())
        self._ranks.reduced(torch.stack(squares))
        return self._ranks.finish(1, torch.nn.utils.get_total_norm(total), ONE)

    def consecutive(self) -> Part | None:
        """One measurement from two consecutive gradients."""
        part = None
        while part is None:
            self.clear()
            self.backward(BATCH)
            self._step += 1
            part = self._consecutive.measure(self._step, BATCH)
        return part

    def gradients(self) -> list[Tensor]:
        """The gradients in `.grad`."""
        return [p.grad for p in self.parameters if p.grad is not None]

    def clear(self) -> None:
        """Empty `.grad`."""
        for parameter in self.parameters:
            parameter.grad = None

    def samples(self, measure: Callable[[], Part | None], count: int) -> Iterator[NoiseSample]:
        """So many measurements."""
        for _ in range(count):
            self.clear()
            part = measure()
            assert part is not None
            record = part.decode(part.values.tolist())
            assert isinstance(record, NoiseSample)
            yield record


def regression(true: float, features: int) -> Bench:
    """Linear regression with half the squared error, whose noise scale is `true`, at weights that are off by 1.

    g = (x.d - e) x with x ~ N(0, I), so G = d and tr(Sigma) = |d|^2 (features + 1) + s^2 features: with |d| = 1 the
    noise scale is features + 1 + s^2 features.
    """
    noise = math.sqrt((true - features - 1) / features)
    model = nn.Linear(features, 1, bias=False)
    with torch.no_grad():
        model.weight.fill_(1 / math.sqrt(features))

    def draw(rows: int) -> tuple[Tensor, Tensor]:
        return torch.randn(rows, features), torch.randn(rows, 1) * noise

    return Bench(model, draw, lambda output, y: (output - y).square().mean() / 2)


def coverage(trials: int) -> None:
    """Print the first table."""
    print(f"{'estimator':<16}{'true':>6}{'median':>9}{'in interval':>13}{'resolved':>10}")
    for true, features in ((60, 20), (200, 50), (1000, 100)):
        bench = regression(true, features)
        for name, measure in estimators(bench):
            values, inside, resolved = [], 0, 0
            for _ in range(trials):
                ring = NoiseScaleEstimator()
                for sample in bench.samples(measure, PROBES):
                    ring.add(sample.variance, sample.squared_norm)
                found = ring.estimate(name)
                inside += (found.low or 0) <= true <= (math.inf if found.high is None else found.high)
                resolved += found.high is not None
                values.append(math.inf if found.value is None else found.value)
            print(
                f"{name:<16}{true:>6}{median(values):>9.0f}{inside / trials:>13.1%}{resolved / trials:>10.0%}",
                flush=True,
            )


def estimators(bench: Bench) -> Sequence[tuple[str, Callable[[], Part | None]]]:
    """All of them by name."""
    return (
        ("split", bench.split),
        ("micro-batches", bench.micro_batches),
        ("ranks", bench.ranks),
        ("consecutive", bench.consecutive),
    )


def mlp() -> nn.Module:
    """16 numbers to 4 classes."""
    return nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 4))


def cnn() -> nn.Module:
    """The same numbers as a 4x4 image, with BatchNorm."""
    return nn.Sequential(
        nn.Unflatten(1, (1, 4, 4)),
        nn.Conv2d(1, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(128, 4),
    )


def transformer() -> nn.Module:
    """8 tokens, each of which is to be predicted."""
    return CharTransformer(6, 8, CharTransformerModel(width=16, heads=2, layers=2))


def points(pool: int = 512) -> Draw:
    """Four clouds of points that overlap, drawn from a fixed pool."""
    y = torch.randint(0, 4, (pool,))
    x = torch.randn(pool, 16) + torch.nn.functional.one_hot(y, 16) * 1.5
    return pick(x, y)


def sequences(pool: int = 512) -> Draw:
    """Walks over six tokens that mostly step by one."""
    steps = torch.where(torch.rand(pool, 9) < 0.7, 1, torch.randint(0, 6, (pool, 9)))
    walk = steps.cumsum(1) % 6
    return pick(walk[:, :-1], walk[:, 1:])


def pick(x: Tensor, y: Tensor) -> Draw:
    """Draws rows with replacement; `draw(0)` gives the whole pool."""

    def draw(rows: int) -> tuple[Tensor, Tensor]:
        chosen = torch.randint(0, len(x), (rows,)) if rows else torch.arange(len(x))
        return x[chosen], y[chosen]

    return draw


def token_loss(scores: Tensor, y: Tensor) -> Tensor:
    """Mean cross entropy over samples, and over tokens where there are some."""
    return nn.functional.cross_entropy(scores.flatten(0, -2), y.flatten())


def exact(bench: Bench) -> float:
    """tr(Sigma) / |G|^2 from the gradient of every example of the pool."""
    weights = {name: p.detach() for name, p in bench.model.named_parameters()}

    def one(state: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
        return bench.loss(functional_call(bench.model, state, (x.unsqueeze(0),)), y.unsqueeze(0))

    with sdpa_kernel(SDPBackend.MATH):  # the only attention that vmap can batch
        found = vmap(grad(one), in_dims=(None, 0, 0))(weights, *bench.draw(0))
    each = torch.cat([g.flatten(1) for g in found.values()], 1).double()
    mean = each.mean(0)
    return float(((each - mean).square().sum(1).mean()) / mean.square().sum())


def from_batches(bench: Bench, batches: int = 20_000) -> float:
    """B tr(Cov g_B) / |E g_B|^2 from the gradients of many random batches."""
    total = torch.zeros(sum(p.numel() for p in bench.parameters), dtype=torch.float64)
    squares = 0.0
    for _ in range(batches):
        bench.clear()
        bench.backward(BATCH)
        g = torch.cat([g.flatten() for g in bench.gradients()]).double()
        total += g
        squares += float(g @ g)
    mean = total / batches
    variance = (squares / batches - float(mean @ mean)) * batches / (batches - 1)
    return BATCH * variance / (float(mean @ mean) - variance / batches)


def nets(probes: int) -> None:
    """Print the second table."""
    names = ("split", "micro-batches", "ranks", "consecutive")
    print(f"\n{'net':<24}{'exact':>9}" + "".join(f"{name:>20}" for name in names))
    cases: list[tuple[str, nn.Module, Draw, Callable[[Bench], float]]] = [
        ("mlp", mlp(), points(), exact),
        ("cnn with BatchNorm", cnn(), points(), from_batches),
        ("transformer", transformer(), sequences(), exact),
    ]
    for name, model, draw, reference in cases:
        bench = Bench(model, draw, token_loss)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(30):
            bench.clear()
            bench.backward(BATCH)
            optimizer.step()
        cells = [ratio(list(bench.samples(measure, probes))) for _, measure in estimators(bench)]
        print(f"{name:<24}{reference(bench):>9.1f}" + "".join(f"{cell:>20}" for cell in cells), flush=True)


def ratio(samples: Sequence[NoiseSample]) -> str:
    """sum S / sum G2 and its standard error, by the linear approximation."""
    s = torch.tensor([sample.variance for sample in samples], dtype=torch.float64)
    g = torch.tensor([sample.squared_norm for sample in samples], dtype=torch.float64)
    value = float(s.mean() / g.mean())
    error = float((s - value * g).std() / g.mean() / math.sqrt(len(samples)))
    return f"{value:.1f} +- {error:.1f}"


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=200, help="per true value and estimator")
    parser.add_argument("--probes", type=int, default=2000, help="per net and estimator")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    coverage(options.trials)
    nets(options.probes)


if __name__ == "__main__":
    main()
