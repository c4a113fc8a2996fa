"""The whole: training is bit for bit the same with it, and it reports what it should."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from bsmon.core.errors import BadInput
from bsmon.core.gradients import LayerTable, Measurement, NoiseSample, ProbedWeight
from bsmon.core.records import GradientStats
from bsmon.telemetry.budget import Schedule
from bsmon.telemetry.gradients import GradientProbes
from tests.unit.gradients.models import cnn, cross_entropy, mlp, train

CPU = torch.device("cpu")
OPTIMIZERS: dict[str, Callable[[nn.Module], torch.optim.Optimizer]] = {
    "sgd": lambda m: torch.optim.SGD(m.parameters(), lr=0.05, momentum=0.9),
    "adam": lambda m: torch.optim.AdamW(m.parameters(), lr=0.01),
    "fused": lambda m: torch.optim.AdamW(m.parameters(), lr=0.01, fused=True),
}
MODELS: dict[str, Callable[[], nn.Module]] = {
    "dropout and batch norm": lambda: mlp(dropout=0.3, norm=True),
    "cnn": cnn,
}


@pytest.fixture
def always_due(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure every step, whatever it costs."""
    monkeypatch.setattr(Schedule, "is_earned", lambda *_: True)
    monkeypatch.setattr(Schedule, "is_due", lambda *_: True)


@pytest.mark.parametrize("sizes", [(16,), (8, 8), (6, 6, 3)])
@pytest.mark.parametrize("optimizer", sorted(OPTIMIZERS))
@pytest.mark.parametrize("name", sorted(MODELS))
def test_training_is_bit_for_bit_the_same(name: str, optimizer: str, sizes: tuple[int, ...], always_due: None) -> None:
    torch.manual_seed(5)
    plain = MODELS[name]()
    probed = copy.deepcopy(plain)
    states = []
    got: list[Measurement] = []
    for model, watched in ((plain, False), (probed, True)):
        torch.manual_seed(7)
        probes = GradientProbes(model, CPU, got.append, budget=1.0, grad_clip=0.5) if watched else None
        if probes is not None:
            probes.wants_layers = True
        train(model, OPTIMIZERS[optimizer](model), probes, steps=40, sizes=sizes, grad_clip=0.5)
        states.append((model.state_dict(), torch.get_rng_state()))
    (ours, our_numbers), (theirs, their_numbers) = states
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    assert torch.equal(our_numbers, their_numbers)
    assert {GradientStats, NoiseSample, LayerTable} <= {type(record) for record in got}


def watch(
    model: nn.Module,
    *,
    steps: int = 30,
    sizes: tuple[int, ...] = (16,),
    loss_of: Callable[[nn.Module, Tensor, Tensor], Tensor] = cross_entropy,
    **options: object,
) -> tuple[GradientProbes, list[Measurement]]:
    got: list[Measurement] = []
    probes = GradientProbes(model, CPU, got.append, budget=1.0, **options)  # type: ignore[arg-type]  # the test's own
    train(model, torch.optim.SGD(model.parameters(), lr=0.05), probes, steps=steps, sizes=sizes, loss_of=loss_of)
    return probes, got


@pytest.mark.parametrize(("sizes", "estimator"), [((16,), "split"), ((8, 8), "micro-batches"), ((1,), "consecutive")])
def test_the_estimator_follows_the_batch_plan(sizes: tuple[int, ...], estimator: str) -> None:
    probes, got = watch(mlp(), sizes=sizes)
    assert probes.noise is not None
    assert probes.noise.estimator == estimator
    assert {record.estimator for record in got if isinstance(record, NoiseSample)} == {estimator}


def test_a_loss_that_cannot_be_split_falls_back_and_says_why() -> None:
    def penalised(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        return cross_entropy(model, x, y) + sum((p.square().sum() for p in model.parameters()), torch.zeros(()))

    probes, got = watch(mlp(), steps=60, loss_of=penalised)
    assert probes.noise is not None
    assert (probes.noise.estimator, "part of the loss" in probes.noise.reason) == ("consecutive", True)
    assert {record.estimator for record in got if isinstance(record, NoiseSample)} == {"consecutive"}


def test_without_room_for_an_extra_backward_gradients_are_compared(
    monkeypatch: pytest.MonkeyPatch, always_due: None
) -> None:
    monkeypatch.setattr("bsmon.telemetry.noise_probe.has_room", lambda _: False)
    probes, got = watch(mlp(), steps=6)
    assert probes.noise is not None
    assert "peak memory" in probes.noise.reason
    noise = [r for r in got if isinstance(r, NoiseSample)]
    assert [(r.step, r.estimator) for r in noise] == [(step, "consecutive") for step in (2, 4, 6)]


def test_the_plan_may_change_while_a_measurement_is_half_done(always_due: None) -> None:
    model, got = mlp(), list[Measurement]()
    probes = GradientProbes(model, CPU, got.append, budget=1.0)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    for sizes in ((1,), (4, 4), (1,), (16,), (5, 5, 2), (16,)):
        train(model, optimizer, probes, steps=5, sizes=sizes)
    assert sum(isinstance(r, GradientStats) for r in got) == 30
    assert {r.estimator for r in got if isinstance(r, NoiseSample)} == {"consecutive", "split", "micro-batches"}
    assert probes.failure == ""


def test_an_update_that_is_made_again_measures_only_the_second() -> None:
    model, got = mlp(), list[Measurement]()
    probes = GradientProbes(model, CPU, got.append, budget=1.0)
    x, y = torch.randn(8, 6), torch.zeros(8, dtype=torch.long)
    probes.begin(1, (8,))
    torch.autograd.backward(cross_entropy(model, x, y))
    probes.abandoned()
    assert got == []
    assert not any(p._backward_hooks for p in model.parameters())
    assert not model._forward_hooks
    train(model, torch.optim.SGD(model.parameters(), lr=0.05), probes, steps=2, sizes=(4, 4))
    assert probes.failure == ""


def test_the_norm_is_measured_before_clipping_and_given_after_it() -> None:
    model, got = mlp(), list[Measurement]()
    probes = GradientProbes(model, CPU, got.append, grad_clip=1e-3)
    train(model, torch.optim.SGD(model.parameters(), lr=0.05), probes, steps=1, sizes=(16,), grad_clip=1e-3)
    stats = next(record for record in got if isinstance(record, GradientStats))
    assert stats.norm > 1e-3
    assert stats.norm_after_clipping == pytest.approx(1e-3, rel=0.01)


def test_a_probed_weight_is_reported_and_a_wrong_one_refused() -> None:
    model = mlp()
    value = model.get_parameter("0.weight")[2, 1].item()
    _, got = watch(model, steps=1, probe_weight="0.weight[2,1]")
    record = next(record for record in got if isinstance(record, ProbedWeight))
    assert (record.name, record.step, record.value) == ("0.weight[2,1]", 1, value)
    with pytest.raises(BadInput, match=r'did you mean "0\.weight"'):
        GradientProbes(model, CPU, got.append, probe_weight="0.weigth[2,1]")


def test_layers_are_measured_only_while_somebody_looks() -> None:
    _, got = watch(mlp(), steps=3)
    assert not any(isinstance(record, LayerTable) for record in got)


def test_without_the_noise_scale_nothing_of_it_runs() -> None:
    probes, got = watch(mlp(), steps=3, noise_scale=False)
    assert probes.noise is None
    assert [type(record) for record in got] == [GradientStats]


def test_frozen_parameters_and_models_are_fine() -> None:
    model = mlp()
    model.get_parameter("0.weight").requires_grad_(False)
    _, got = watch(model, steps=12)
    assert any(isinstance(record, NoiseSample) for record in got)
    frozen = mlp().requires_grad_(False)
    probes = GradientProbes(frozen, CPU, got.append)
    probes.begin(1, (4,))
    probes.gradients_ready(None)
    probes.updated(0.1)
    assert probes.failure == ""


def test_scaled_losses_are_unscaled() -> None:
    model = mlp()
    twin = copy.deepcopy(model)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    got: list[Measurement] = []
    probes = GradientProbes(twin, CPU, got.append, scaler=scaler)
    optimizer = torch.optim.SGD(twin.parameters(), lr=0.05)
    x, y = torch.randn(16, 6), torch.arange(16) % 3
    probes.begin(1, (16,))
    torch.autograd.backward(scaler.scale(cross_entropy(twin, x, y)))
    probes.backward_done(0)
    scaler.unscale_(optimizer)
    probes.gradients_ready(None)
    scaler.step(optimizer)
    probes.updated(0.05)
    plain: list[Measurement] = []
    unscaled = GradientProbes(model, CPU, plain.append)
    unscaled.begin(1, (16,))
    torch.autograd.backward(cross_entropy(model, x, y))
    unscaled.gradients_ready(None)
    unscaled.updated(0.05)
    ours, theirs = (next(r for r in records if isinstance(r, NoiseSample)) for records in (got, plain))
    assert (ours.variance, ours.squared_norm) == pytest.approx((theirs.variance, theirs.squared_norm), rel=1e-4)


def test_measuring_that_fails_does_not_end_the_training(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise torch.OutOfMemoryError("no \x1b[31mmemory\nand more")

    monkeypatch.setattr("bsmon.telemetry.gradient_stats.GradientStatistics.measure", fail)
    probes, got = watch(mlp(), steps=5)
    assert got == []
    assert probes.failure.startswith("gradients are not measured any more: no")
    assert probes.failure.isprintable()


def test_the_share_it_costs_is_known() -> None:
    probes, _ = watch(mlp(), steps=1)
    assert probes.cost_share is None
    probes, _ = watch(mlp(), steps=5)
    assert probes.cost_share is not None
    assert probes.cost_share > 0


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"left": lambda step: 1 - (step - 1) / 40, "budget": 1e-6}, "the run is too short for more than 1 of them"),
        ({"left": lambda step: 1 - (step - 1) / 40}, ""),
        ({"budget": 1e-6}, ""),  # nobody knows how long the run is
        ({"noise_scale": False}, "telemetry.noise_scale is false"),
    ],
)
def test_why_there_is_no_noise_scale(options: dict[str, Any], reason: str) -> None:
    probes = GradientProbes(mlp(), CPU, lambda _: None, **{"budget": 50.0, **options})
    model = mlp()
    train(model, torch.optim.SGD(model.parameters(), lr=0.05), probes, steps=15, sizes=(16,))
    assert probes.noise_reason.startswith(reason)
    assert bool(probes.noise_reason) == bool(reason)
