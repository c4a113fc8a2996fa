"""Every built-in task trains: the loss is finite, falls, and repeats itself with the seed."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from torch.utils.data import DataLoader, default_collate

from bsmon.config.schema import (
    CatsVsDogsData,
    CharTransformerModel,
    CnnModel,
    Config,
    DigitsData,
    LongTailData,
    MlpModel,
    NamedLoss,
    NpzData,
    Optimizer,
    TextData,
)
from bsmon.engine.tasks.data import build_data
from bsmon.engine.tasks.models import build_model
from bsmon.engine.tasks.objective import build_objective
from bsmon.engine.tasks.optimizers import build_optimizer

SMALL_TRANSFORMER = CharTransformerModel(width=16, heads=2, layers=1)
CONFIGS = {
    "digits, cnn": Config(data=DigitsData(), model=CnnModel(channels=(8, 8))),
    "digits, group": Config(data=DigitsData(), model=CnnModel(channels=(8, 8), norm="group", dropout=0.2)),
    "digits, layer": Config(data=DigitsData(), model=CnnModel(channels=(8, 8), norm="layer")),
    "digits, no norm": Config(data=DigitsData(), model=CnnModel(channels=(8, 8), norm="none")),
    "digits, mlp": Config(data=DigitsData(), model=MlpModel(norm="batch", dropout=0.1)),
    "cats-vs-dogs": Config(data=CatsVsDogsData(), model=MlpModel(hidden=(100,)), optimizer=Optimizer(name="SGD")),
    "cats-vs-dogs, bce": Config(data=CatsVsDogsData(signal=3), model=MlpModel(), loss=NamedLoss(name="bce")),
    "long-tail": Config(data=LongTailData(), model=MlpModel(norm="layer")),
    "text": Config(data=TextData(context=16), model=SMALL_TRANSFORMER),
}


def train(config: Config, steps: int) -> list[float]:
    torch.manual_seed(config.run.seed)
    data = build_data(config)
    model = build_model(config, data)
    objective = build_objective(config, data)
    optimizer = build_optimizer(config, model.parameters())
    dataset: Any = data.train
    indices = torch.arange(32)  # the same samples each time, so that the loss must fall
    seen = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss, output = objective(model, dataset.fetch(indices))
        loss.backward()
        optimizer.step()
        seen.append(loss.item())
        right = objective.correct(output, dataset.fetch(indices))
        if data.kind != "numbers":
            assert right is not None
            assert 0 <= int(right[0]) <= right[1]
    return seen


@pytest.mark.parametrize("name", CONFIGS)
def test_three_steps_and_the_same_again(name: str) -> None:
    first = train(CONFIGS[name], 3)
    assert all(map(math.isfinite, first))
    assert train(CONFIGS[name], 3) == first


@pytest.mark.parametrize("name", CONFIGS)
def test_the_loss_of_one_batch_falls(name: str) -> None:
    losses = train(CONFIGS[name], 25)
    assert losses[-1] < losses[0]


def test_npz_regression(tmp_path: Path) -> None:
    x = numpy.random.default_rng(0).normal(size=(64, 4))
    numpy.savez(tmp_path / "data.npz", x=x, y=x.sum(axis=1))
    config = Config(
        data=NpzData(path="data.npz"),
        model=MlpModel(hidden=()),
        optimizer=Optimizer(name="SGD", lr=0.1),
        path=str(tmp_path / "run.toml"),
    )
    # y is linear in x, so a linear model must find it.
    assert train(config, 300)[-1] < 1e-3


@pytest.mark.parametrize("name", ["digits, cnn", "text", "long-tail"])
def test_a_fetched_batch_is_the_collated_samples(name: str) -> None:
    dataset: Any = build_data(CONFIGS[name]).train
    indices = torch.tensor([5, 0, 17, 5])
    collated = default_collate([dataset[int(index)] for index in indices])
    loaded = next(iter(DataLoader(dataset, batch_sampler=[indices.tolist()])))
    for fetched, single, other in zip(dataset.fetch(indices), collated, loaded, strict=True):
        assert torch.equal(fetched, single)
        assert torch.equal(fetched, other)
