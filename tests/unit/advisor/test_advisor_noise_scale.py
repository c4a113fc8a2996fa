from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bsmon.advisor.noise_scale import (
    LONGEST_WINDOW,
    SHORTEST_WINDOW,
    NoiseScaleEstimator,
    fieller,
    micro_batch_pair,
    signal_to_noise,
    split_pair,
)


def probe(chance: random.Random, mean: list[float], deviation: float, rows: int) -> tuple[float, float]:
    """S and G2 from two half-batch gradients of `rows` examples each around a known gradient."""
    spread = deviation / math.sqrt(rows)
    first = [chance.gauss(m, spread) for m in mean]
    second = [chance.gauss(m, spread) for m in mean]
    squares = [math.fsum(a * b for a, b in zip(x, y, strict=True)) for x, y in ((first, first), (second, second))]
    return split_pair(squares[0], squares[1], math.fsum(map(lambda a, b: a * b, first, second)), (rows, rows))


def test_coverage_of_the_interval_on_gaussian_gradients() -> None:
    """Truth: 20 dimensions of variance 1 and |G|^2 = 0.2, so that the noise scale is 100. Nominal 90 %."""
    mean, covered, trials = [0.1] * 20, 0, 200
    for seed in range(trials):
        chance = random.Random(seed)
        pairs = [probe(chance, mean, 1.0, 16) for _ in range(64)]
        found = fieller([s for s, _ in pairs], [g for _, g in pairs])
        covered += found.low <= 100 and (found.high is None or found.high >= 100)
    # 200 trials at 90 % have a standard deviation of 2.1 %; the ratio's skew costs a little more.
    assert 0.84 <= covered / trials <= 0.96


def test_the_estimator_finds_a_known_noise_scale() -> None:
    chance, estimator = random.Random(1), NoiseScaleEstimator()
    for _ in range(LONGEST_WINDOW):
        estimator.add(*probe(chance, [0.3] * 20, 1.0, 16))
    found = estimator.estimate("split")
    truth = 20 / (20 * 0.09)
    assert found.value == pytest.approx(truth, rel=0.2)
    assert found.low is not None
    assert found.high is not None
    assert found.low < truth < found.high
    assert found.estimator == "split"


def test_micro_batches_and_split_agree_in_expectation() -> None:
    chance, rows, steps = random.Random(2), 8, 4
    mean = [0.5] * 10
    total_s = total_g2 = 0.0
    for _ in range(3000):
        parts = [[chance.gauss(m, 1 / math.sqrt(rows)) for m in mean] for _ in range(steps)]
        whole = [math.fsum(column) / steps for column in zip(*parts, strict=True)]
        mean_square = math.fsum(x * x for part in parts for x in part) / steps
        s, g2 = micro_batch_pair(mean_square, math.fsum(x * x for x in whole), rows, steps)
        total_s, total_g2 = total_s + s, total_g2 + g2
    assert total_s / 3000 == pytest.approx(10, rel=0.03)
    assert total_g2 / 3000 == pytest.approx(2.5, rel=0.03)


def test_one_micro_batch_tells_nothing() -> None:
    with pytest.raises(ValueError, match="two micro batches"):
        micro_batch_pair(1.0, 1.0, 32, 1)


def test_too_few_probes_are_not_known_yet() -> None:
    estimator = NoiseScaleEstimator()
    for _ in range(SHORTEST_WINDOW - 1):
        estimator.add(1.0, 1.0)
    found = estimator.estimate()
    assert (found.value, found.low, found.high) == (None, None, None)
    assert "15 of 16" in found.reason


def test_an_unresolved_denominator_gives_a_lower_bound_only() -> None:
    chance, estimator = random.Random(3), NoiseScaleEstimator()
    for _ in range(64):
        estimator.add(chance.gauss(100, 5), chance.gauss(0.01, 1))
    found = estimator.estimate()
    assert found.value is None
    assert found.high is None
    assert found.low is not None
    assert found.low > 10


def test_nothing_but_noise_says_so() -> None:
    chance, estimator = random.Random(4), NoiseScaleEstimator()
    for _ in range(64):
        estimator.add(chance.gauss(0, 1), chance.gauss(0, 1))
    found = estimator.estimate()
    assert (found.value, found.low, found.high) == (None, None, None)
    assert found.reason


def test_drift_shortens_the_window() -> None:
    chance, estimator = random.Random(5), NoiseScaleEstimator()
    for _ in range(96):
        estimator.add(chance.gauss(10, 1), chance.gauss(1, 0.1))
    for _ in range(32):
        estimator.add(chance.gauss(40, 1), chance.gauss(1, 0.1))
    found = estimator.estimate()
    assert estimator.window == 32
    assert found.value == pytest.approx(40, rel=0.1)


def test_memory_is_bounded_and_nonfinite_pairs_are_left_out() -> None:
    estimator = NoiseScaleEstimator()
    for number in range(1000):
        estimator.add(float(number), 1.0)
    estimator.add(math.nan, 1.0)
    estimator.add(1.0, math.inf)
    assert len(estimator) == LONGEST_WINDOW


@settings(max_examples=50)
@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6)), min_size=16, max_size=40))
def test_the_interval_is_always_in_order(pairs: list[tuple[float, float]]) -> None:
    found = fieller([s for s, _ in pairs], [g for _, g in pairs])
    assert found.low >= 0
    assert (found.value is None) == (found.high is None)
    if found.value is not None and found.high is not None:
        assert found.low <= found.value * (1 + 1e-6) + 1e-12
        assert found.value <= found.high * (1 + 1e-6) + 1e-12


def test_signal_to_noise_is_variance_over_batch() -> None:
    assert signal_to_noise(100, 25) == 0.5
    assert signal_to_noise(100, 400) == 2.0
    assert signal_to_noise(0, 4) == math.inf


def test_an_interval_needs_two_pairs() -> None:
    with pytest.raises(ValueError, match="two pairs"):
        fieller([1.0], [1.0])
