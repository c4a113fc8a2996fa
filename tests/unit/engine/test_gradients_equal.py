"""The gradient of any split into micro batches is that of one large batch."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from bsmon.engine.batches import split
from bsmon.engine.tasks.losses import cross_entropy, mse
from bsmon.engine.tasks.objective import LossOnScores, Objective
from bsmon.engine.update import Updater
from bsmon.engine.watch import NoTimer, NoWatch

CPU = torch.device("cpu")


class NormWatch(NoWatch):
    """Keeps the norm that is shown."""

    def __init__(self) -> None:
        self.norm: Tensor | None = None

    def gradients_ready(self, norm: Tensor | None) -> None:
        self.norm = norm


def model(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(5, 7), nn.LayerNorm(7), nn.Tanh(), nn.Linear(7, 3)).double()


def updater(
    net: nn.Module,
    objective: Objective,
    *,
    clip: float | None = None,
    scaler: torch.amp.GradScaler | None = None,
    watch: NormWatch | None = None,
) -> Updater:
    return Updater(
        model=net,
        objective=objective,
        optimizer=torch.optim.SGD(net.parameters(), lr=0.1),
        device=CPU,
        precision="fp32",
        scaler=scaler,
        grad_clip=clip,
        watch=watch or NormWatch(),
        timer=NoTimer(),
    )


def batch(rows: int, *, classes: bool) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(rows)
    inputs = torch.randn(rows, 5, generator=generator, dtype=torch.float64)
    if classes:
        return inputs, torch.randint(0, 3, (rows,), generator=generator)
    return inputs, torch.randn(rows, 3, generator=generator, dtype=torch.float64)


def gradients(net: nn.Module) -> Tensor:
    return torch.cat([p.grad.flatten() for p in net.parameters() if p.grad is not None])


OBJECTIVES = [(LossOnScores("cross-entropy", cross_entropy, None), True), (LossOnScores("mse", mse, None), False)]


@st.composite
def splits(draw: st.DrawFn) -> list[int]:
    """Any sizes, even or not, of up to 60 samples."""
    rows = draw(st.integers(1, 60))
    cuts = sorted(draw(st.sets(st.integers(1, rows - 1), max_size=6))) if rows > 1 else []
    return [b - a for a, b in pairwise([0, *cuts, rows])]


@settings(max_examples=50, deadline=None)
@given(sizes=splits(), which=st.integers(0, 1), clip=st.sampled_from([None, 0.01, 100.0]), scaled=st.booleans())
def test_any_split_has_the_gradient_of_the_whole(
    sizes: Sequence[int], which: int, clip: float | None, scaled: bool
) -> None:
    objective, classes = OBJECTIVES[which]
    whole = batch(sum(sizes), classes=classes)
    results = []
    for parts in ([sum(sizes)], sizes):
        net, watch = model(), NormWatch()
        scaler = torch.amp.GradScaler("cpu", init_scale=1024.0) if scaled else None
        made = updater(net, objective, clip=clip, scaler=scaler, watch=watch)
        loss = made.gradients(1, split(whole, list(parts)), list(parts))
        results.append((loss, gradients(net), watch.norm))
    (loss, expected, norm), (split_loss, gradient, split_norm) = results
    torch.testing.assert_close(split_loss, loss)
    torch.testing.assert_close(gradient, expected, rtol=1e-10, atol=1e-14)
    assert (norm is None) == (clip is None)
    if norm is not None and split_norm is not None:
        torch.testing.assert_close(split_norm, norm)


@pytest.mark.parametrize("clip", [0.01, 100.0])
def test_the_norm_before_clipping_is_shown_and_the_gradient_is_clipped_to_the_limit(clip: float) -> None:
    net, watch = model(), NormWatch()
    objective, _ = OBJECTIVES[0]
    updater(net, objective).gradients(1, [batch(12, classes=True)], [12])
    before = gradients(net)
    clipped = model()
    updater(clipped, objective, clip=clip, watch=watch).gradients(1, [batch(12, classes=True)], [12])
    assert watch.norm is not None
    torch.testing.assert_close(watch.norm, before.norm())
    factor = min(1.0, clip / float(before.norm()))
    torch.testing.assert_close(gradients(clipped), before * factor, rtol=1e-4, atol=0)


def test_an_update_with_a_loss_scale_is_that_without_one() -> None:
    nets = [model(), model()]
    objective, classes = OBJECTIVES[0]
    for net, scaler in zip(nets, (None, torch.amp.GradScaler("cpu", init_scale=2.0**16)), strict=True):
        made = updater(net, objective, clip=0.05, scaler=scaler)
        for step in range(1, 4):
            made.gradients(step, split(batch(10, classes=classes), [4, 3, 3]), [4, 3, 3])
            made.weights()
            made.settle(0.1)
    for one, other in zip(nets[0].parameters(), nets[1].parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-14)


def test_gradients_that_overflow_lower_the_scale_and_change_no_weight() -> None:
    net, (objective, _) = model(), OBJECTIVES[1]
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    made = updater(net, objective, scaler=scaler)
    before = [p.detach().clone() for p in net.parameters()]
    inputs, targets = batch(4, classes=False)
    made.gradients(1, [(inputs, targets * float("inf"))], [4])
    made.weights()
    made.settle(0.1)
    assert all(torch.equal(one, other) for one, other in zip(before, net.parameters(), strict=True))
    assert scaler.get_scale() == 512.0


def test_a_frozen_weight_has_no_gradient_and_does_not_count_for_clipping() -> None:
    net, watch = model(), NormWatch()
    next(net.parameters()).requires_grad_(False)
    updater(net, OBJECTIVES[0][0], clip=1.0, watch=watch).gradients(1, [batch(6, classes=True)], [6])
    assert next(net.parameters()).grad is None
    assert watch.norm is not None
    assert float(watch.norm) > 0
