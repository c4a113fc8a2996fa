"""Each estimator's two numbers against gradients computed one part at a time."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from bsmon.core.gradients import NoiseSample
from bsmon.telemetry.noise_consecutive import ConsecutiveGradients
from bsmon.telemetry.noise_micro import MicroBatchSplit, between_micro_batches
from bsmon.telemetry.noise_split import between_halves
from bsmon.telemetry.parameters import Sample
from tests.unit.gradients.models import cross_entropy, data, mlp
from tests.unit.gradients.noise_cases import METER, ONE, gradient, record_of


def micro_batches(model: nn.Module, sizes: Sequence[int], scale: float = 1.0) -> NoiseSample | None:
    parameters = list(model.parameters())
    probe = MicroBatchSplit(parameters, METER)
    probe.arm(sizes)
    x, y = data(sum(sizes))
    at = 0
    for size in sizes:
        loss = cross_entropy(model, x[at : at + size], y[at : at + size])
        torch.autograd.backward(loss * (size / sum(sizes)) * scale)
        probe.backward_done()
        at += size
    with torch.no_grad():
        for parameter in parameters:
            assert parameter.grad is not None
            parameter.grad.div_(scale)
    norm = torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
    return record_of(probe.finish(3, norm, ONE * scale))


@pytest.mark.parametrize("sizes", [(8, 8), (4, 4, 4, 4), (10, 10, 3), (1, 30)])
@pytest.mark.parametrize("scale", [1.0, 1024.0])
def test_micro_batches_of_any_sizes(sizes: tuple[int, ...], scale: float) -> None:
    model = mlp()
    record = micro_batches(model, sizes, scale)
    x, y = data(sum(sizes))
    parts = [
        gradient(model, cross_entropy, a, b)
        for a, b in zip(torch.split(x, list(sizes)), torch.split(y, list(sizes)), strict=True)
    ]
    whole = gradient(model, cross_entropy, x, y)
    variance, squared_norm = between_micro_batches(
        sizes, [float(g.square().sum()) for g in parts], float(whole.square().sum())
    )
    assert record is not None
    assert (record.batch_size, record.estimator, record.step) == (sum(sizes), "micro-batches", 3)
    assert record.variance == pytest.approx(variance, rel=1e-3)
    assert record.squared_norm == pytest.approx(squared_norm, rel=1e-3, abs=1e-5)


vectors = st.lists(st.floats(-5, 5), min_size=3, max_size=3).map(torch.tensor)


@given(st.lists(st.tuples(st.integers(1, 9), vectors), min_size=2, max_size=6))
def test_micro_batches_measure_the_spread_between_them(parts: list[tuple[int, Tensor]]) -> None:
    """S is the variance between groups of an analysis of variance: sum n_i |g_i - g|^2 / (k - 1)."""
    sizes = [n for n, _ in parts]
    whole = torch.stack([g.double() * n for n, g in parts]).sum(0) / sum(sizes)
    squares = [float(g.double().square().sum()) for _, g in parts]
    variance, squared_norm = between_micro_batches(sizes, squares, float(whole.square().sum()))
    spread = sum(n * float((g - whole).square().sum()) for n, g in parts) / (len(parts) - 1)
    assert variance == pytest.approx(spread, abs=1e-9)
    assert squared_norm == pytest.approx(float(whole.square().sum()) - spread / sum(sizes), abs=1e-9)


@given(st.integers(1, 20), vectors, vectors)
def test_two_equal_micro_batches_and_a_split_agree(rows: int, g1: Tensor, g2: Tensor) -> None:
    g1, g2 = g1.double(), g2.double()
    whole, half = (g1 + g2) / 2, g1 / 2
    split = between_halves(rows, rows, (float(half @ half), float(half @ whole), float(whole @ whole)))
    micro = between_micro_batches((rows, rows), (float(g1 @ g1), float(g2 @ g2)), float(whole @ whole))
    assert split == pytest.approx(micro, abs=1e-9)
    assert split[1] == pytest.approx(float(g1 @ g2), abs=1e-9)


def test_a_missing_or_non_finite_micro_batch_gives_nothing() -> None:
    model = mlp()
    parameters = list(model.parameters())
    probe = MicroBatchSplit(parameters, METER)
    probe.arm((4, 4))
    torch.autograd.backward(cross_entropy(model, *data(4)))
    probe.backward_done()
    assert probe.finish(1, ONE[0], ONE) is None
    with torch.no_grad():
        parameters[0].fill_(float("inf"))
    assert micro_batches(model, (4, 4)) is None


def test_hooks_are_gone_after_a_measurement() -> None:
    model = mlp()
    micro_batches(model, (4, 4))
    assert not any(p._backward_hooks for p in model.parameters())


def test_consecutive_gradients() -> None:
    model = mlp()
    parameters = list(model.parameters())
    probe = ConsecutiveGradients(Sample(parameters))
    x, y = data(30)
    g1, g2 = gradient(model, cross_entropy, x[:10], y[:10]), gradient(model, cross_entropy, x[10:], y[10:])
    torch.autograd.backward(cross_entropy(model, x[:10], y[:10]))
    assert probe.measure(5, 10) is None
    assert probe.is_half_done
    model.zero_grad()
    torch.autograd.backward(cross_entropy(model, x[10:], y[10:]))
    record = record_of(probe.measure(6, 20))
    assert record is not None
    assert record.variance == pytest.approx(float((g1 - g2).square().sum()) / (1 / 10 + 1 / 20), rel=1e-4)
    assert record.squared_norm == pytest.approx(float(g1 @ g2), rel=1e-4)
    assert not probe.is_half_done


def test_gradients_that_do_not_follow_each_other_are_no_pair() -> None:
    model = mlp()
    torch.autograd.backward(cross_entropy(model, *data(8)))
    probe = ConsecutiveGradients(Sample(list(model.parameters())))
    assert probe.measure(5, 8) is None
    assert probe.measure(7, 8) is None
    assert probe.measure(8, 8) is not None
