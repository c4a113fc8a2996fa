"""Models, outputs and losses to split, and the plain way to a gradient."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from bsmon.core.gradients import NoiseSample
from bsmon.telemetry.cost import CostMeter
from bsmon.telemetry.part import Part
from tests.unit.gradients.models import LossOf, cross_entropy, mlp

ONE = torch.ones(1)
METER = CostMeter(torch.device("cpu"))


def gradient(model: nn.Module, loss_of: LossOf, x: Tensor, y: Tensor) -> Tensor:
    """The mean gradient over these rows, in double precision."""
    twin = copy.deepcopy(model).double()
    torch.autograd.backward(loss_of(twin, x.double(), y))
    return torch.cat([p.grad.flatten() for p in twin.parameters() if p.grad is not None])


def record_of(part: Part | None) -> NoiseSample | None:
    if part is None:
        return None
    record = part.decode(part.values.tolist())
    assert record is None or isinstance(record, NoiseSample)
    return record


class Named(NamedTuple):
    scores: Tensor
    note: str


@dataclasses.dataclass(frozen=True)
class Scores:
    scores: Tensor
    features: Tensor


class Returns(nn.Module):
    """A model that returns its scores in some container."""

    def __init__(self, wrap: Callable[[Tensor, Tensor], object]) -> None:
        super().__init__()
        self.first, self.last, self.wrap = nn.Linear(6, 12), nn.Linear(12, 3), wrap

    def forward(self, x: Tensor) -> object:
        features = torch.tanh(self.first(x))
        return self.wrap(self.last(features), features)


def both(scores: Tensor, features: Tensor, y: Tensor) -> Tensor:
    """Reads an output, and three times another one that the first was made from, like a variational autoencoder."""
    return nn.functional.cross_entropy(scores, y) + (features.exp() - features + features.square()).mean()


def pair_loss(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    scores, features = model(x)
    return both(scores, features, y)


def dataclass_loss(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    output = model(x)
    assert isinstance(output, Scores)
    return both(output.scores, output.features, y)


def dict_loss(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    output = model(x)
    return both(output["s"], output["f"], y)


CONTAINERS: dict[str, tuple[Callable[[Tensor, Tensor], object], LossOf]] = {
    "tuple": (lambda s, f: (s, f), pair_loss),
    "list": (lambda s, f: [s, f], pair_loss),
    "dict": (lambda s, f: {"s": s, "f": f, "n": 3}, dict_loss),
    "dataclass": (Scores, dataclass_loss),
    "namedtuple": (lambda s, _: Named(s, "x"), lambda m, x, y: nn.functional.cross_entropy(m(x).scores, y)),
    "nested": (lambda s, f: ({"a": [s]}, f), lambda m, x, y: nn.functional.cross_entropy(m(x)[0]["a"][0], y)),
    "unread": (lambda s, f: (s, f.sum()), lambda m, x, y: nn.functional.cross_entropy(m(x)[0], y)),
}


class Scalar(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = mlp()

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        scores = self.body(x)
        return {"loss": scores.square().mean(), "scores": scores}


class TimeFirst(Scalar):
    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]  # another output is the point
        scores: Tensor = self.body(x).t()
        return scores


class Recomputed(Scalar):
    """Runs its BatchNorm again in the backward."""

    def __init__(self) -> None:
        super().__init__()
        self.body = mlp(dropout=0.2, norm=True)

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]  # another output is the point
        scores = checkpoint(self.body, x, use_reentrant=False)
        assert isinstance(scores, Tensor)
        return scores


class Reentrant(Recomputed):
    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]  # another output is the point
        scores = checkpoint(self.body, x.clone().requires_grad_(), use_reentrant=True)
        assert isinstance(scores, Tensor)
        return scores


class FailsFirst(torch.autograd.Function):
    """The identity, with a backward that fails the first time."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, failures: list[bool]) -> Tensor:
        ctx.failures = failures
        return x.clone()

    @staticmethod
    def backward(ctx: Any, *incoming: Tensor) -> tuple[Tensor, None]:
        if not ctx.failures:
            ctx.failures.append(True)
            raise RuntimeError("not \x1b[31mnow\nlater")
        return incoming[0], None


class Fussy(Scalar):
    """Its first backward fails, the next one works; a training without the probe must not meet the first."""

    def __init__(self) -> None:
        super().__init__()
        self.failures: list[bool] = []

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]  # another output is the point
        scores = FailsFirst.apply(self.body(x), self.failures)  # type: ignore[no-untyped-call]  # torch leaves it untyped
        assert isinstance(scores, Tensor)
        return scores


class Fixed(tuple[Tensor, ...]):
    """A tuple that is made in a way of its own."""

    def __new__(cls, first: Tensor, second: Tensor) -> Fixed:
        return super().__new__(cls, (first, second))


class Peculiar(Scalar):
    """Returns something that cannot be copied."""

    def forward(self, x: Tensor) -> Fixed:  # type: ignore[override]  # another output is the point
        scores = self.body(x)
        return Fixed(scores, scores * 2)


class Draws(torch.autograd.Function):
    """The identity, with noise on the gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, *incoming: Tensor) -> Tensor:
        return incoming[0] + torch.rand_like(incoming[0])


class Drawing(Scalar):
    """Draws random numbers in its backward."""

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]  # another output is the point
        scores = Draws.apply(self.body(x))  # type: ignore[no-untyped-call]  # torch leaves it untyped
        assert isinstance(scores, Tensor)
        return scores


def penalised(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    return cross_entropy(model, x, y) + sum((p.square().sum() for p in model.parameters()), torch.zeros(()))
