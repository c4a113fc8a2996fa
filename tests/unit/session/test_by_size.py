"""Gradient variance by batch size against gradients whose variance is known."""

from __future__ import annotations

import random

import pytest

from bsmon.core.gradients import NoiseSample
from bsmon.core.records import GradientStats, Step
from bsmon.session.by_size import VarianceBySize
from bsmon.session.findings import Findings


def drawn(batch_size: int, count: int) -> VarianceBySize:
    """Gradients of one element with mean 3 and a variance of 4 a sample."""
    source = random.Random(batch_size)
    found = VarianceBySize()
    for _ in range(count):
        halves = [3 + source.gauss(0, (4 / (batch_size / 2)) ** 0.5) for _ in range(2)]
        found.norm(batch_size, abs(sum(halves) / 2))
        squared = (halves[0] - halves[1]) ** 2 / (4 / batch_size)
        found.noise(batch_size, squared, halves[0] * halves[1])
    return found


@pytest.mark.parametrize("batch_size", [2, 8, 32])
def test_the_variance_falls_with_the_batch_size(batch_size: int) -> None:
    found = drawn(batch_size, 50)
    assert found.sample_variance(batch_size) == pytest.approx(4, rel=0.6)
    measured = found.gradient_variance(batch_size)
    assert measured is not None
    assert measured == pytest.approx(4 / batch_size, rel=0.9)


@pytest.mark.parametrize(("norm_every", "noise_every"), [(10, 1), (1, 10), (1, 1)])
def test_predicted_and_measured_agree_while_the_gradient_shrinks(norm_every: int, noise_every: int) -> None:
    """A thousandth of the variance is left in the end, and one of the two is measured ten times as often."""
    source, found, size = random.Random(1), VarianceBySize(), 32
    for step in range(600):
        scale = 10 ** (-3 * step / 600)
        halves = [scale * (3 + source.gauss(0, (400 / (size / 2)) ** 0.5)) for _ in range(2)]
        if step % norm_every == 0:
            found.norm(size, abs(sum(halves) / 2))
        if step % noise_every == 0:
            found.noise(size, (halves[0] - halves[1]) ** 2 / (4 / size), halves[0] * halves[1])
    predicted, measured = found.sample_variance(size), found.gradient_variance(size)
    assert predicted is not None
    assert measured == pytest.approx(predicted / size, rel=0.5)


def test_few_measurements_say_nothing() -> None:
    found = drawn(8, 7)
    assert found.sizes() == {8}
    assert found.sample_variance(8) is None
    assert found.gradient_variance(8) is None


def test_the_predicted_variance_does_not_wait_for_norms() -> None:
    found = VarianceBySize()
    for _ in range(8):
        found.noise(8, 4.0, 9.0)
    assert (found.sample_variance(8), found.gradient_variance(8)) == (4.0, None)


def test_what_is_not_finite_is_left_out() -> None:
    found = drawn(8, 50)
    before = found.gradient_variance(8), found.sample_variance(8)
    found.norm(8, float("nan"))
    found.noise(8, float("inf"), 1.0)
    assert (found.gradient_variance(8), found.sample_variance(8)) == before


def step_of(number: int, batch_size: int) -> Step:
    return Step(number, 1, number * batch_size, batch_size, batch_size, 0.1, 1.0, 0.0, 0.01, 0.0)


def fed(*updates: tuple[int, float]) -> Findings:
    """Ten updates of each (batch size, norm of the gradient), under a plan of that size; |G|^2 is 3."""
    findings = Findings()
    for size, norm in updates:
        findings.batch_size(size)
        for number in range(10):
            findings.gradients(GradientStats(number, norm=norm))
            findings.noise_sample(NoiseSample(number, size, variance=8.0 * size, squared_norm=3.0, estimator="split"))
            findings.steps([step_of(number, size)])
    findings.sum_up_sizes()
    return findings


def test_findings_keep_sizes_apart() -> None:
    assert [
        (found.batch_size, found.gradient_variance, found.sample_variance) for found in fed((16, 2.0), (32, 2.0)).sizes
    ] == [(16, 1.0, 128.0), (32, 1.0, 256.0)]


def test_the_short_last_update_of_an_epoch_is_not_counted_for_the_whole_size() -> None:
    findings = fed((16, 2.0))
    for number in range(100, 110):
        findings.gradients(GradientStats(number, norm=9.0))
        findings.steps([step_of(number, 5)])
    findings.sum_up_sizes()
    assert [(found.batch_size, found.gradient_variance) for found in findings.sizes] == [(16, 1.0)]


def test_a_gradient_whose_update_was_never_made_is_left_out() -> None:
    findings = fed((16, 2.0))
    findings.gradients(GradientStats(150, norm=9.0))
    findings.steps([step_of(151, 16)])
    findings.sum_up_sizes()
    assert findings.sizes[0].gradient_variance == 1.0
