"""The forecast equals what a real step at that size takes, and leaves no trace."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim import Optimizer

from bsmon.engine.forecast import forecast_peak
from bsmon.engine.live_memory import LiveMemory, held_tensors
from tests.unit.engine_files.memory_cases import FAMILIES, OPTIMIZERS, STEPS, adam, cnn, images, mlp, sgd, step, vectors

TOLERANCE = 0.0025  # 0.25 %
TOLERANCE_BYTES = 256  # in the smallest models a BatchNorm statistic is more than that share


def measured_peak(family: str, optimizer_name: str, step_name: str, rows: int) -> int:
    """The peak of a real run's third step, counted op by op."""
    torch.manual_seed(0)
    model, batch = FAMILIES[family].model(), FAMILIES[family].batch(rows)
    optimizer = OPTIMIZERS[optimizer_name](model)
    for _ in range(2):
        STEPS[step_name](model, optimizer, batch)
    live = LiveMemory()
    live.hold(held_tensors(model, optimizer, batch))
    with live:
        STEPS[step_name](model, optimizer, batch)
    return live.peak_bytes


@pytest.mark.parametrize("step_name", STEPS)
@pytest.mark.parametrize("optimizer_name", OPTIMIZERS)
@pytest.mark.parametrize("family", FAMILIES)
def test_forecasts_are_within_a_quarter_percent(family: str, optimizer_name: str, step_name: str) -> None:
    model, batch = FAMILIES[family].model(), FAMILIES[family].batch(4)
    for rows in (1, 48):
        forecast = forecast_peak(model, OPTIMIZERS[optimizer_name], STEPS[step_name], batch, rows)
        assert forecast.reason == ""
        assert forecast.peak_bytes == pytest.approx(
            measured_peak(family, optimizer_name, step_name, rows), rel=TOLERANCE, abs=TOLERANCE_BYTES
        )


def test_nothing_of_the_live_run_changes() -> None:
    model, batch = cnn(), images(4)
    assert isinstance(model, nn.Sequential)
    optimizer = adam(model)
    step(model, optimizer, batch)
    seen: list[str] = []
    model.register_forward_hook(lambda *_: seen.append("forward"))
    model[0].register_full_backward_hook(lambda *_: seen.append("backward"))
    weight = next(model.parameters())
    weight.register_hook(lambda _: seen.append("gradient"))
    weight.register_post_accumulate_grad_hook(lambda _: seen.append("accumulated"))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    gradients = [parameter.grad for parameter in model.parameters()]
    generators = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()  # type: ignore[index]  # legacy tuple form
    assert forecast_peak(model, adam, step, batch, 64).peak_bytes is not None
    assert seen == []
    torch.testing.assert_close(dict(model.state_dict()), before, rtol=0, atol=0)
    assert all(now.grad is then for now, then in zip(model.parameters(), gradients, strict=True))
    assert torch.equal(torch.get_rng_state(), generators[0])
    assert random.getstate() == generators[1]
    assert np.random.get_state()[1].tolist() == generators[2]  # type: ignore[index]  # likewise


class DrawsFromEveryGenerator(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(64, 10)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        scaled: torch.Tensor = self.layer(rows) * random.random() * float(np.random.rand())
        return scaled


def test_a_model_that_draws_numbers_itself_disturbs_nothing() -> None:
    random.seed(1)
    np.random.seed(1)
    expected = random.Random(1).random(), np.random.RandomState(1).rand()
    assert forecast_peak(DrawsFromEveryGenerator(), sgd, step, vectors(4), 8).peak_bytes is not None
    assert (random.random(), np.random.rand()) == expected


def test_a_weight_normalised_model_keeps_the_hook_that_is_part_of_it() -> None:
    with pytest.warns(FutureWarning, match="weight_norm"):
        model = nn.Sequential(nn.utils.weight_norm(nn.Linear(64, 10)))
    assert forecast_peak(model, sgd, step, vectors(4), 16).peak_bytes is not None


class DependsOnData(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(64, 10)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.layer(rows)
        return out if out.sum().item() > 0 else -out


def test_a_model_whose_course_depends_on_data_has_no_forecast_but_a_reason() -> None:
    forecast = forecast_peak(DependsOnData(), sgd, step, vectors(4), 8)
    assert forecast.peak_bytes is None
    assert forecast.reason.startswith("the model cannot be run without data")


def test_batches_may_be_nested_and_hold_what_is_no_tensor() -> None:
    batch = {"x": torch.randn(4, 64), "extra": ["label", (torch.zeros(3),)], "y": torch.randint(0, 10, (4,))}
    shapes: list[object] = []

    def nested_step(model: nn.Module, optimizer: Optimizer, given: object) -> None:
        assert isinstance(given, dict)
        shapes.append((given["x"].shape, given["extra"][0], given["extra"][1][0].shape, given["y"].shape))
        step(model, optimizer, (given["x"], given["y"]))

    assert forecast_peak(mlp(), sgd, nested_step, batch, 9).peak_bytes is not None
    assert shapes[0] == ((9, 64), "label", (3,), (9,))


def test_frozen_weights_and_eval_mode_are_followed() -> None:
    full, frozen = mlp(), mlp()
    next(frozen.parameters()).requires_grad_(False)
    peaks = [forecast_peak(model, adam, step, vectors(4), 4).peak_bytes for model in (full, frozen)]
    assert peaks[0] is not None
    assert peaks[1] is not None
    assert peaks[1] < peaks[0] - 2 * 64 * 128 * 4  # no gradient and no Adam moments for the frozen one
