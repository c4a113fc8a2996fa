"""The noise scale from ranks: as the formula says, right as often as it claims, the same as from micro batches."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from bsmon.advisor.noise_scale import NoiseScaleEstimator
from bsmon.core.gradients import Measurement, NoiseSample
from bsmon.engine.build import Parts
from bsmon.telemetry.gradients import GradientProbes
from bsmon.telemetry.noise_ranks import RankSplit
from tests.unit.engine.harness import play
from tests.unit.gradients.models import cross_entropy, data, mlp
from tests.unit.gradients.noise_cases import gradient, record_of
from tests.unit.ranks.test_shared_update import config
from tests.unit.ranks.threads import ranks_in_threads


def ranks(parts: Sequence[torch.Tensor], sizes: Sequence[int], scale: float = 1.0) -> NoiseSample | None:
    """One measurement, from each rank's mean gradient."""
    weighted = [part * size / sum(sizes) for part, size in zip(parts, sizes, strict=True)]
    squares = [float((part * scale).square().sum()) for part in weighted]
    probe = RankSplit()
    probe.arm(sizes)
    probe.reduced(torch.tensor(squares))
    norm = torch.stack(weighted).sum(0).norm()
    return record_of(probe.finish(3, norm, torch.full((1,), scale)))


@pytest.mark.parametrize("scale", [1.0, 1024.0])
@pytest.mark.parametrize("sizes", [(8, 8), (6, 5, 5), (2, 1, 0, 0)])
def test_ranks_of_any_share(sizes: tuple[int, ...], scale: float) -> None:
    model = mlp()
    x, y = data(sum(sizes))
    pieces = zip(torch.split(x, list(sizes)), torch.split(y, list(sizes)), strict=True)
    parts = [gradient(model, cross_entropy, a, b) if len(a) else torch.zeros(1).double() for a, b in pieces]
    parts = [part if len(part) > 1 else torch.zeros_like(parts[0]) for part in parts]
    record = ranks(parts, sizes, scale)
    # tr(Sigma) from the spread of the parts' means around the mean of all, which has k - 1 degrees of freedom.
    used = [(part, size) for part, size in zip(parts, sizes, strict=True) if size]
    whole = gradient(model, cross_entropy, x, y)
    variance = sum(size * float((part - whole).square().sum()) for part, size in used) / (len(used) - 1)
    assert record is not None
    assert (record.batch_size, record.estimator, record.step) == (sum(sizes), "ranks", 3)
    assert record.variance == pytest.approx(variance, rel=1e-3)
    assert record.squared_norm == pytest.approx(float(whole.square().sum()) - variance / sum(sizes), rel=1e-3, abs=1e-5)


def test_the_interval_holds_the_true_value_as_often_as_it_claims() -> None:
    """Linear regression as in benchmarks/noise_scale.py: g = (x.d - e) x, tr(Sigma) = 21 + 20 s^2, |G|^2 = 1."""
    generator = torch.Generator().manual_seed(7)
    features, true, trials, probes, sizes = 20, 60.0, 120, 64, (11, 11, 10)
    noise, inside = math.sqrt((true - features - 1) / features), 0
    direction = torch.full((features,), 1 / math.sqrt(features))
    for _ in range(trials):
        x = torch.randn(probes, sum(sizes), features, generator=generator)
        error = x @ direction - noise * torch.randn(probes, sum(sizes), generator=generator)
        each = error.unsqueeze(2) * x
        estimator = NoiseScaleEstimator()
        for update in each:
            record = ranks([part.mean(0) for part in update.split(list(sizes))], sizes)
            assert record is not None
            estimator.add(record.variance, record.squared_norm)
        found = estimator.estimate("ranks")
        inside += (found.low or 0) <= true <= (math.inf if found.high is None else found.high)
    assert 0.83 <= inside / trials <= 0.97  # 90 %, give or take 2.5 standard errors


def test_nothing_is_made_of_an_update_whose_ranks_said_nothing() -> None:
    probe = RankSplit()
    probe.arm((4, 4))
    assert probe.finish(1, torch.ones(()), torch.ones(1)) is None


def test_two_ranks_measure_what_two_micro_batches_do(tmp_path: Path) -> None:
    """The same samples in the same halves: the same two numbers, step by step, whoever computes them."""
    found: dict[int, dict[int, NoiseSample]] = {1: {}, 2: {}}

    def measured(world_size: int) -> None:
        def keep(measurement: Measurement) -> None:
            if isinstance(measurement, NoiseSample):
                found[world_size][measurement.step] = measurement

        def probes(parts: Parts, _: object) -> GradientProbes:
            return GradientProbes(parts.runner, parts.device, keep, budget=1.0, grad_clip=0.1, ranks=world_size)

        half = 5 if world_size == 1 else None
        settings = config(world_size=world_size, epochs=8, train={"grad_clip": 0.1, "drop_last": True}, micro=half)
        play(settings, tmp_path / str(world_size), watch=probes)

    measured(1)
    with ranks_in_threads():
        measured(2)
    assert {sample.estimator for sample in found[1].values()} == {"micro-batches"}
    assert {sample.estimator for sample in found[2].values()} == {"ranks"}
    steps = found[1].keys() & found[2].keys()
    assert steps
    for step in steps:
        assert found[2][step].variance == pytest.approx(found[1][step].variance, rel=1e-3)
        assert found[2][step].squared_norm == pytest.approx(found[1][step].squared_norm, rel=1e-2, abs=1e-4)
