from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bsmon.advisor.class_mix import enough_classes, expected_distinct_classes, smallest_batch_size
from bsmon.advisor.updates_per_epoch import UpdatesVerdict as V
from bsmon.advisor.updates_per_epoch import flavour, largest_batch_size, updates_per_epoch, updates_verdict


@pytest.mark.parametrize(("batch", "verdict"), [(32, V.GOOD), (64, V.OK), (128, V.MARGINAL), (240, V.TOO_FEW)])
def test_480_samples_as_in_document_a(batch: int, verdict: V) -> None:
    assert updates_verdict(480, batch) is verdict


@pytest.mark.parametrize(
    ("batch", "updates"), [(1, 1024), (8, 128), (16, 64), (32, 32), (64, 16), (128, 8), (256, 4), (1024, 1)]
)
def test_cats_and_dogs_as_in_document_c(batch: int, updates: int) -> None:
    assert updates_per_epoch(1024, batch) == updates


@pytest.mark.parametrize(("batch", "updates"), [(128, 1), (32, 4), (1, 128)])
def test_the_first_example_of_document_c(batch: int, updates: int) -> None:
    assert updates_per_epoch(128, batch) == updates


def test_a_short_last_batch_counts_unless_it_is_dropped() -> None:
    assert updates_per_epoch(1000, 32) == 32
    assert updates_per_epoch(1000, 32, drop_last=True) == 31


def test_far_above_the_range_is_plenty() -> None:
    assert updates_verdict(1_000_000, 64) is V.PLENTY


@given(st.integers(1, 10**7))
def test_the_largest_size_is_still_ok_and_the_next_is_not(samples: int) -> None:
    size = largest_batch_size(samples)
    fine = (V.OK, V.GOOD, V.PLENTY)
    assert size == 1 or updates_verdict(samples, size) in fine
    assert updates_verdict(samples, size + 1) not in fine


@pytest.mark.parametrize(
    ("batch", "samples", "name"),
    [
        (1, 1000, "stochastic"),
        (32, 1000, "mini-batch"),
        (1000, 1000, "full batch"),
        (1, None, "stochastic"),
        (32, None, "mini-batch"),
    ],
)
def test_flavours(batch: int, samples: int | None, name: str) -> None:
    assert flavour(batch, samples) == name


def test_expected_distinct_classes_against_simulation() -> None:
    chances, chance = [1 / rank for rank in range(1, 21)], random.Random(0)
    counted = [len(set(chance.choices(range(20), chances, k=16))) for _ in range(20_000)]
    assert expected_distinct_classes(chances, 16) == pytest.approx(sum(counted) / len(counted), abs=0.05)


@given(st.lists(st.floats(0.001, 1), min_size=1, max_size=30), st.integers(1, 500))
def test_distinct_classes_never_exceed_batch_or_classes(chances: list[float], batch: int) -> None:
    expected = expected_distinct_classes(chances, batch)
    assert 0 < expected <= min(len(chances), batch) + 1e-9
    assert expected <= expected_distinct_classes(chances, batch + 1) + 1e-9


def test_smallest_batch_with_classes_enough() -> None:
    assert enough_classes(2) == 1
    assert enough_classes(50) == 5
    assert smallest_batch_size([0.1] * 10, 64) == 8
    assert smallest_batch_size([1000.0, *([0.001] * 20)], 64) is None


@pytest.mark.parametrize("chances", [[0.0, 0.0], [-0.1, 1.1]])
def test_impossible_chances_are_refused(chances: list[float]) -> None:
    with pytest.raises(ValueError, match="negative"):
        expected_distinct_classes(chances, 4)
