"""The digits are the real ones, and the split is a pure function of the seed."""

from __future__ import annotations

import pytest
import torch

from bsmon.config.schema import CnnModel, Config, DigitsData, MlpModel, Run
from bsmon.core.errors import BadInput
from bsmon.engine.tasks.data import build_data
from bsmon.engine.tasks.task import TaskData, TensorBatches


def digits(validation: float = 0.2, seed: int = 0, flat: bool | None = None, model: MlpModel | None = None) -> TaskData:
    data = DigitsData(validation=validation, flat=flat)
    return build_data(Config(data=data, model=model or CnnModel(), run=Run(seed=seed)))


def tensors(data: TaskData) -> tuple[torch.Tensor, torch.Tensor]:
    assert isinstance(data.train, TensorBatches)
    inputs, labels = data.train.tensors
    return inputs, labels


def test_all_1797_digits_are_there_with_the_known_class_counts() -> None:
    images, labels = tensors(digits(validation=0))
    assert images.shape == (1797, 1, 8, 8)
    assert labels.bincount().tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert (float(images.min()), float(images.max())) == (0.0, 1.0)
    # The mean pixel that scikit-learn's copy has, 0..16.
    assert float(images.mean() * 16) == pytest.approx(4.884165, abs=1e-5)


def test_validation_is_held_out_and_nothing_is_lost() -> None:
    data = digits(validation=0.25)
    assert isinstance(data.validation, TensorBatches)
    whole = torch.cat((tensors(data)[0], data.validation.tensors[0])).flatten(1)
    everything = tensors(digits(validation=0))[0].flatten(1)
    assert len(data.validation) == 449
    assert torch.equal(whole.unique(dim=0), everything.unique(dim=0))
    assert data.labels is not None
    assert torch.equal(data.labels, tensors(data)[1])


@pytest.mark.parametrize(
    ("flat", "model", "shape"),
    [
        (None, None, (1, 8, 8)),
        (None, MlpModel(), (64,)),
        (True, None, (64,)),
        (False, MlpModel(), (1, 8, 8)),
    ],
)
def test_shape_follows_flat_and_else_the_model(flat: bool | None, model: MlpModel | None, shape: tuple[int]) -> None:
    data = digits(flat=flat, model=model)
    assert data.input_shape == shape
    assert tensors(data)[0].shape[1:] == shape


def test_same_seed_same_split_another_seed_another() -> None:
    assert torch.equal(tensors(digits(seed=3))[0], tensors(digits(seed=3))[0])
    assert not torch.equal(tensors(digits(seed=3))[0], tensors(digits(seed=4))[0])


def test_global_generator_is_left_alone() -> None:
    before = torch.get_rng_state()
    digits()
    assert torch.equal(torch.get_rng_state(), before)


def test_holding_out_everything_is_refused() -> None:
    with pytest.raises(BadInput, match=r"data.validation: a share of 0.9999 of 1,797 samples leaves none to train on"):
        digits(validation=0.9999)
