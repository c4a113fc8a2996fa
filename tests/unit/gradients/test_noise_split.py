"""The split probe: one batch in two halves, for every kind of model it can split, and no trace in those it cannot."""

from __future__ import annotations

import copy
import gc
import weakref
from collections.abc import Callable

import pytest
import torch
from torch import nn

from bsmon.core.gradients import NoiseSample
from bsmon.telemetry.noise_split import MISSED, SplitProbe
from tests.unit.gradients.models import LossOf, cnn, cross_entropy, data, mlp
from tests.unit.gradients.noise_cases import (
    CONTAINERS,
    METER,
    ONE,
    Drawing,
    Fussy,
    Peculiar,
    Recomputed,
    Reentrant,
    Returns,
    Scalar,
    TimeFirst,
    gradient,
    penalised,
    record_of,
)


def split(
    model: nn.Module, loss_of: LossOf, rows: int = 20, scale: float = 1.0, probe: SplitProbe | None = None
) -> tuple[NoiseSample | None, str]:
    parameters = list(model.parameters())
    probe = probe or SplitProbe(model, parameters, METER)
    probe.arm(rows)
    model.zero_grad()
    torch.autograd.backward(loss_of(model, *data(rows)) * scale)
    with torch.no_grad():
        for parameter in parameters:
            if parameter.grad is not None:
                parameter.grad.div_(scale)
    return record_of(probe.finish(3, ONE * scale)), probe.reason


def expected_split(model: nn.Module, loss_of: LossOf, rows: int) -> tuple[float, float]:
    x, y = data(rows)
    n1 = rows // 2
    g1, g2 = gradient(model, loss_of, x[:n1], y[:n1]), gradient(model, loss_of, x[n1:], y[n1:])
    return float((g1 - g2).square().sum()) / (1 / n1 + 1 / (rows - n1)), float(g1 @ g2)


@pytest.mark.parametrize("name", sorted(CONTAINERS))
@pytest.mark.parametrize(("rows", "scale"), [(20, 1.0), (21, 512.0)])
def test_the_split_sees_through_every_kind_of_output(name: str, rows: int, scale: float) -> None:
    wrap, loss_of = CONTAINERS[name]
    model = Returns(wrap)
    record, reason = split(model, loss_of, rows, scale)
    variance, squared_norm = expected_split(model, loss_of, rows)
    assert reason == ""
    assert record is not None
    assert (record.batch_size, record.estimator) == (rows, "split")
    assert record.variance == pytest.approx(variance, rel=1e-3)
    assert record.squared_norm == pytest.approx(squared_norm, rel=1e-3, abs=1e-6)


def test_later_probes_need_one_extra_backward_and_agree() -> None:
    model = mlp()
    probe = SplitProbe(model, list(model.parameters()), METER)
    first, _ = split(model, cross_entropy, probe=probe)
    again, _ = split(model, cross_entropy, probe=probe)
    assert first is not None
    assert again is not None
    assert again.variance == pytest.approx(first.variance, rel=1e-5)


@pytest.mark.parametrize("make", [lambda: mlp(norm=True), lambda: mlp(dropout=0.5, norm=True), cnn])
def test_batch_norm_and_dropout_split(make: Callable[[], nn.Module]) -> None:
    record, reason = split(make(), cross_entropy)
    assert (record is not None, reason) == (True, "")


REFUSED: dict[str, tuple[Callable[[], nn.Module], LossOf, str]] = {
    "own loss": (Scalar, lambda m, x, y: m(x)["loss"], "computes its own loss"),
    "time first": (TimeFirst, lambda m, x, y: m(x).t().square().mean(), "3x20 does not have the 20 samples first"),
    "penalty": (mlp, penalised, "part of the loss"),
    "two calls": (mlp, lambda m, x, y: cross_entropy(m, x, y) + cross_entropy(m, x.flip(0), y), "part of the loss"),
    "recomputed": (Recomputed, cross_entropy, "changes its buffers"),
    "own container": (Peculiar, lambda m, x, y: m(x)[0].square().mean(), "a Fixed, cannot be copied"),
    "reentrant": (Reentrant, cross_entropy, "part of the loss"),
    "fails once": (Fussy, cross_entropy, "a second backward fails: not �[31mnow"),
}


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_a_loss_that_cannot_be_split_is_noticed_and_training_is_as_before(name: str) -> None:
    make, loss_of, why = REFUSED[name]
    torch.manual_seed(0)
    model = make()
    twin = copy.deepcopy(model)
    torch.manual_seed(1)
    record, reason = split(model, loss_of)
    torch.manual_seed(1)
    if isinstance(twin, Fussy):
        twin.failures.append(True)
    torch.autograd.backward(loss_of(twin, *data(20)))
    assert record is None
    assert why in reason
    for (key, ours), theirs in zip(model.named_parameters(), twin.parameters(), strict=True):
        assert ours.grad is not None, key
        assert theirs.grad is not None, key
        assert torch.equal(ours.grad, theirs.grad), key
    assert all(torch.equal(a, b) for a, b in zip(model.buffers(), twin.buffers(), strict=True))


def test_random_numbers_are_put_back_where_a_backward_draws_some() -> None:
    torch.manual_seed(0)
    model = Drawing()
    twin = copy.deepcopy(model)
    torch.manual_seed(1)
    split(model, cross_entropy)
    after = torch.rand(3)
    torch.manual_seed(1)
    torch.autograd.backward(cross_entropy(twin, *data(20)))
    assert torch.equal(after, torch.rand(3))
    assert all(
        torch.equal(a.grad, b.grad)
        for a, b in zip(model.parameters(), twin.parameters(), strict=True)
        if a.grad is not None and b.grad is not None
    )


def test_a_model_that_is_not_called_is_given_up() -> None:
    model = mlp()
    probe = SplitProbe(model, list(model.parameters()), METER)
    for _ in range(MISSED):
        assert probe.reason == ""
        split(model, lambda m, x, y: nn.functional.cross_entropy(m.forward(x), y), probe=probe)
    assert "not called" in probe.reason


def test_evaluation_is_not_split() -> None:
    model = mlp()
    probe = SplitProbe(model, list(model.parameters()), METER)
    probe.arm(8)
    model.eval()
    model(data(8)[0])
    model.train()
    with torch.no_grad():
        model(data(8)[0])
    torch.autograd.backward(cross_entropy(model, *data(8)))
    assert record_of(probe.finish(1, ONE)) is not None


def test_a_measured_graph_is_freed() -> None:
    class Marker:
        """Lives as long as the graph does, through the node's own dictionary."""

    model = mlp()
    probe = SplitProbe(model, list(model.parameters()), METER)
    probe.arm(8)
    output = model(data(8)[0])
    marker = Marker()
    alive = weakref.ref(marker)
    output.grad_fn.metadata["marker"] = marker
    torch.autograd.backward(output.sum())
    probe.finish(1, ONE)
    del output, marker
    gc.collect()
    assert alive() is None


def test_non_finite_gradients_are_skipped_and_prove_nothing() -> None:
    model = mlp()
    probe = SplitProbe(model, list(model.parameters()), METER)
    record, reason = split(model, lambda m, x, y: cross_entropy(m, x, y) * float("inf"), probe=probe)
    assert (record, reason) == (None, "")
    assert split(model, cross_entropy, probe=probe)[0] is not None
