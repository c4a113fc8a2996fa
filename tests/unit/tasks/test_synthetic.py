"""cats-vs-dogs is the guidelines' set; long-tail follows its power law."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import WeightedRandomSampler

from bsmon.config.schema import CatsVsDogsData, Config, DataSection, LongTailData, MlpModel, Run
from bsmon.core.errors import BadInput
from bsmon.engine.tasks.data import build_data
from bsmon.engine.tasks.long_tail import class_counts, even_weights
from bsmon.engine.tasks.task import TaskData, TensorBatches


def build(section: DataSection, seed: int = 0) -> TaskData:
    return build_data(Config(data=section, model=MlpModel(), run=Run(seed=seed)))


def tensors(dataset: object) -> tuple[torch.Tensor, torch.Tensor]:
    assert isinstance(dataset, TensorBatches)
    inputs, labels = dataset.tensors
    return inputs, labels


def test_cats_vs_dogs_with_seed_42_is_the_guidelines_example() -> None:
    data = build(CatsVsDogsData(), seed=42)
    with torch.random.fork_rng():
        torch.manual_seed(42)
        inputs, labels = torch.randn(1024, 1000), torch.randint(0, 2, (1024,))
        held_inputs, held_labels = torch.randn(256, 1000), torch.randint(0, 2, (256,))
    assert torch.equal(tensors(data.train)[0], inputs)
    assert torch.equal(tensors(data.train)[1], labels)
    assert torch.equal(tensors(data.validation)[0], held_inputs)
    assert torch.equal(tensors(data.validation)[1], held_labels)


def test_cats_vs_dogs_says_that_there_is_nothing_to_learn() -> None:
    assert "nothing to learn but the training set by heart" in build(CatsVsDogsData()).description
    assert "nothing to learn" not in build(CatsVsDogsData(signal=2.0)).description


def test_signal_is_the_distance_between_the_class_means() -> None:
    inputs, labels = tensors(build(CatsVsDogsData(samples=20_000, features=10, signal=3.0)).train)
    distance = (inputs[labels == 1].mean(dim=0) - inputs[labels == 0].mean(dim=0)).norm()
    # The mean of 10,000 rows a class is within 0.03 x sqrt(10) of the truth.
    assert float(distance) == pytest.approx(3.0, abs=0.1)


def test_cats_vs_dogs_without_validation() -> None:
    assert build(CatsVsDogsData(validation_samples=0)).validation is None


@given(
    samples=st.integers(10, 5000),
    classes=st.integers(2, 60),
    exponent=st.floats(0, 4),
)
def test_class_counts_sum_up_fall_and_leave_no_class_empty(samples: int, classes: int, exponent: float) -> None:
    if samples < classes:
        samples += classes
    counts = class_counts(samples, classes, exponent)
    assert int(counts.sum()) == samples
    assert int(counts.min()) >= 1
    assert torch.equal(counts, counts.sort(descending=True).values)


def test_class_counts_follow_the_power_law() -> None:
    counts = class_counts(1_000_000, 10, 1.5).double()
    expected = torch.arange(1, 11).double() ** -1.5
    torch.testing.assert_close(counts / counts.sum(), expected / expected.sum(), atol=1e-4, rtol=0)


@settings(max_examples=20)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=50))
def test_even_weights_give_every_class_that_occurs_the_same_mass(values: list[int]) -> None:
    labels = torch.tensor(values)
    weights = even_weights(labels)
    for label in set(values):
        assert float(weights[labels == label].sum()) == pytest.approx(1.0)


def test_weighted_sampler_draws_rare_classes_as_often_as_common_ones() -> None:
    data = build(LongTailData(samples=4000, classes=5, exponent=2.0))
    assert data.labels is not None
    assert data.sample_weights is not None
    weights = data.sample_weights.tolist()
    drawn = list(WeightedRandomSampler(weights, 5000, generator=torch.Generator().manual_seed(0)))
    shares = data.labels[drawn].bincount(minlength=5) / 5000
    assert float(data.labels.bincount().max() / data.labels.bincount().min()) > 10
    assert float((shares - 0.2).abs().max()) < 0.03  # 5 standard errors of a share of 0.2 in 5,000


def test_unweighted_long_tail_has_no_weights() -> None:
    assert build(LongTailData(weighted=False)).sample_weights is None


def test_separation_is_the_mean_distance_between_classes() -> None:
    data = build(LongTailData(samples=40_000, classes=20, exponent=0.0, features=64, separation=6.0, validation=0))
    inputs, labels = tensors(data.train)
    means = torch.stack([inputs[labels == label].mean(dim=0) for label in range(20)])
    assert float(torch.pdist(means).mean()) == pytest.approx(6.0, rel=0.05)


def test_fewer_samples_than_classes_is_refused() -> None:
    with pytest.raises(BadInput, match=r"data.samples: 20 samples cannot hold 50 classes"):
        build(LongTailData(samples=20))


@pytest.mark.parametrize("section", [CatsVsDogsData(), LongTailData()])
def test_same_seed_same_data_another_seed_another(section: DataSection) -> None:
    first, again, other = build(section, seed=1), build(section, seed=1), build(section, seed=2)
    assert torch.equal(tensors(first.train)[0], tensors(again.train)[0])
    assert not torch.equal(tensors(first.train)[0], tensors(other.train)[0])
