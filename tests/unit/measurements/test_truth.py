"""Every number that the probes report in a real run, against the same number computed in the plainest way."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor

from bsmon.config.schema import Config
from bsmon.core.gradients import NoiseSample, ProbedWeight
from bsmon.core.records import ClassMix, GradientStats
from bsmon.engine.batches import split
from bsmon.engine.build import Parts
from bsmon.engine.tasks.task import TensorBatches
from bsmon.engine.watch import NoWatch, Watch
from bsmon.telemetry.gradients import GradientProbes
from tests.unit.engine.harness import Played, Spy, play
from tests.unit.measurements.real_run import config_for, measure_always


@dataclass
class Plain:
    """One update, in double precision and without any of the probes' short cuts."""

    gradient: Tensor  # before clipping
    before: Tensor  # the weights
    parts: list[Tensor]  # mean gradients of disjoint parts of the batch
    rows: list[int]  # samples in each part
    clipped: Tensor | None = None
    after: Tensor | None = None


class Beside(NoWatch):
    """Passes everything on to the probes, and computes for itself what they should find."""

    def __init__(self, parts: Parts, probes: GradientProbes) -> None:
        self.parts, self.probes = parts, probes
        self.updates: dict[int, Plain] = {}
        self._step = 0

    def begin(self, step: int, micro_sizes: Sequence[int]) -> None:
        self._step = step
        count = sum(micro_sizes)
        rows = list(micro_sizes) if len(micro_sizes) > 1 else [count // 2, count - count // 2]
        train, chosen = self.parts.data.train, self.parts.cursor.peek(count)
        assert isinstance(train, TensorBatches)
        batch = tuple(tensor[chosen] for tensor in train.tensors)
        gradients = [self._gradient(part) for part in split(batch, rows)]
        self.updates[step] = Plain(torch.empty(0), self._weights(), gradients, rows)
        self.probes.begin(step, micro_sizes)

    def _gradient(self, batch: object) -> Tensor:
        twin = copy.deepcopy(self.parts.model)
        twin.zero_grad()
        torch.autograd.backward(self.parts.objective(twin, batch)[0])
        return torch.cat([p.grad.flatten() for p in twin.parameters() if p.grad is not None]).double()

    def _weights(self) -> Tensor:
        return torch.cat([p.detach().flatten() for p in self.parts.model.parameters()]).double()

    def _gradients(self) -> Tensor:
        return torch.cat([p.grad.flatten() for p in self.parts.model.parameters() if p.grad is not None]).double()

    def backward_done(self, micro_batch: int) -> None:
        self.probes.backward_done(micro_batch)

    def gradients_ready(self, norm: Tensor | None) -> None:
        self.updates[self._step].gradient = self._gradients()
        self.probes.gradients_ready(norm)

    def updated(self, learning_rate: float) -> None:
        update = self.updates[self._step]
        update.clipped, update.after = self._gradients(), self._weights()
        self.probes.updated(learning_rate)

    def paused(self) -> None:
        self.probes.paused()


CASES: dict[str, Config] = {
    "plain": config_for(),
    "accumulation": config_for(micro=8),
    "bf16": config_for(precision="bf16"),
    "clipping": config_for(grad_clip=0.05),
    "accumulation, bf16, clipping, adam": config_for(micro=8, precision="bf16", grad_clip=0.05, optimizer="AdamW"),
    "dict output": config_for("InDict"),
    "own loss": config_for("OwnLoss", loss="model"),
}
ESTIMATORS = {name: "micro-batches" if "accumulation" in name else "split" for name in CASES} | {
    "own loss": "consecutive"
}


def measured(config: Config, folder: Path) -> tuple[Played, Beside]:
    """A whole run with the probes, as `bsmon train` fits them, and the plain computation beside them."""
    beside: list[Beside] = []

    def watch(parts: Parts, spy: Spy) -> Watch:
        probes = GradientProbes(
            parts.runner,
            parts.device,
            lambda measurement: played_into.append(measurement),
            budget=config.telemetry.budget,
            grad_clip=config.train.grad_clip,
            probe_weight=config.telemetry.probe_weight,
            scaler=parts.scaler,
        )
        beside.append(Beside(parts, probes))
        return beside[0]

    played_into: list[object] = []
    played = play(config, folder, watch=watch)
    played.recorder.measurements += played_into  # type: ignore[arg-type]  # measurements, all of them
    return played, beside[0]


@pytest.fixture(autouse=True)
def always_due(monkeypatch: pytest.MonkeyPatch) -> None:
    measure_always(monkeypatch)


@pytest.mark.parametrize("name", sorted(CASES))
def test_the_statistics_are_those_of_the_gradient(name: str, tmp_path: Path) -> None:
    config = CASES[name]
    played, beside = measured(config, tmp_path)
    found = [record for record in played.recorder.measurements if isinstance(record, GradientStats)]
    assert [stats.step for stats in found] == list(range(1, 13))
    previous: Tensor | None = None
    for stats in found:
        update = beside.updates[stats.step]
        g, w = update.gradient, update.before
        assert update.after is not None
        assert update.clipped is not None
        expected = {
            "norm": g.norm(),
            "mean_abs": g.abs().mean(),
            "std": g.std(),
            "minimum": g.min(),
            "maximum": g.max(),
            "snr": g.abs().mean() / g.std(),
            "nonfinite": 0,
            "weight_norm": w.norm(),
            "update_ratio": (update.after - w).norm() / w.norm(),
            "cosine": None if previous is None else torch.dot(previous, g) / (previous.norm() * g.norm()),
            "norm_after_clipping": None if config.train.grad_clip is None else update.clipped.norm(),
        }
        for key, value in expected.items():
            want = None if value is None else pytest.approx(float(value), rel=1e-4, abs=1e-9)
            assert getattr(stats, key) == want, (key, stats.step)
        previous = g


@pytest.mark.parametrize("name", sorted(CASES))
def test_the_noise_scale_is_that_of_the_samples(name: str, tmp_path: Path) -> None:
    """S and G2 against the gradients of the same parts of the batch, each from a forward of its own."""
    played, beside = measured(CASES[name], tmp_path)
    found = [record for record in played.recorder.measurements if isinstance(record, NoiseSample)]
    # An epoch's last update is one micro batch alone.
    assert {sample.estimator for sample in found[2:] if sample.batch_size == 32} == {ESTIMATORS[name]}
    # bf16 rounds every part's forward to 3 digits, and differently as a part of a larger batch.
    tolerance = 0.05 if "bf16" in name else 1e-3
    for sample in found:
        update = beside.updates[sample.step]
        variance, squared = consecutive(beside, sample.step) if sample.estimator == "consecutive" else between(update)
        scale = variance + float(update.gradient.square().sum())
        assert sample.batch_size == sum(update.rows)
        assert sample.variance == pytest.approx(variance, rel=tolerance, abs=1e-4 * scale)
        assert sample.squared_norm == pytest.approx(squared, rel=tolerance, abs=tolerance * scale / sample.batch_size)


def between(update: Plain) -> tuple[float, float]:
    """Both from inner products of gradients of disjoint parts, which no shared sample biases.

    S = sum n_i |g_i - g|^2 / (k - 1) is one sample's variance; G2 = |g|^2 - S / n. For two parts of equal size they
    are |g1 - g2|^2 / (1/n1 + 1/n2) and g1.g2.
    """
    n, k = sum(update.rows), len(update.rows)
    mean = sum((rows / n * g for rows, g in zip(update.rows, update.parts, strict=True)), torch.zeros(()))
    spread = [rows * float((g - mean).square().sum()) for rows, g in zip(update.rows, update.parts, strict=True)]
    variance = math.fsum(spread) / (k - 1)
    return variance, float(mean.square().sum()) - variance / n


def consecutive(beside: Beside, step: int) -> tuple[float, float]:
    first, second = beside.updates[step - 1], beside.updates[step]
    apart = float((first.gradient - second.gradient).square().sum())
    return apart / (1 / sum(first.rows) + 1 / sum(second.rows)), float(first.gradient @ second.gradient)


def test_a_model_with_its_own_loss_is_measured_otherwise_and_says_so(tmp_path: Path) -> None:
    _, beside = measured(CASES["own loss"], tmp_path)
    assert beside.probes.noise_reason == "the model computes its own loss"


def test_the_weight_that_is_followed(tmp_path: Path) -> None:
    """Over time: mean, deviation and extremes of its gradient so far, and |mean| / deviation (C, part 4)."""
    played, beside = measured(config_for(telemetry={"probe_weight": "wide.weight[4,2]"}), tmp_path)
    found = [record for record in played.recorder.measurements if isinstance(record, ProbedWeight)]
    place = 4 * 6 + 2
    gradients = [float(beside.updates[step].gradient[place]) for step in range(1, 13)]
    assert [record.gradient for record in found] == pytest.approx(gradients)
    assert [record.value for record in found] == pytest.approx(
        [float(u.before[place]) for u in beside.updates.values()]
    )
    last, over_time = found[-1], torch.tensor(gradients)
    assert (last.mean, last.std) == pytest.approx((float(over_time.mean()), float(over_time.std())))
    assert (last.minimum, last.maximum) == pytest.approx((min(gradients), max(gradients)))
    assert last.snr == pytest.approx(abs(float(over_time.mean())) / float(over_time.std()))
    assert last.window == 12


def test_nan_in_gradients_is_counted(tmp_path: Path) -> None:
    played, _ = measured(config_for("Breaks", epochs=2), tmp_path)
    counts = {r.step: r.nonfinite for r in played.recorder.measurements if isinstance(r, GradientStats)}
    assert (counts[4], counts[5]) == (0, 1)


@pytest.mark.parametrize(("batch", "distinct"), [(12, 1), (24, 2), (48, 4)])
def test_the_classes_of_a_batch_are_counted(batch: int, distinct: int, tmp_path: Path) -> None:
    config = config_for("EightClasses", data="sorted_classes", batch=batch, epochs=1, shuffle=False)
    found = [r for r in played_plainly(config, tmp_path).recorder.measurements if isinstance(r, ClassMix)]
    assert [(mix.step, mix.batch_size, mix.distinct) for mix in found] == [(1, batch, distinct)]


def played_plainly(config: Config, folder: Path) -> Played:
    return play(config, folder, watch=lambda parts, spy: NoWatch())
