from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bsmon.advisor.scaling import OptimizerFamily, adam_surge, learning_rate_factor, optimizer_family, resolve_rule
from bsmon.core.commands import LearningRateRule as Rule
from bsmon.core.errors import NotApplicable

SGD, ADAM = OptimizerFamily.SGD, OptimizerFamily.ADAM
sizes = st.integers(1, 1 << 16)
scales = st.floats(1e-3, 1e9)


@pytest.mark.parametrize(("batch", "rate"), [(32, 5e-4), (64, 1e-3), (128, 2e-3), (240, 3.75e-3)])
def test_the_table_of_document_a(batch: int, rate: float) -> None:
    assert math.isclose(5e-4 * learning_rate_factor(Rule.LINEAR, 32, batch), rate, rel_tol=1e-12)


def test_the_example_of_document_c() -> None:
    assert 0.1 * learning_rate_factor(Rule.LINEAR, 32, 128) == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("rule", "family", "noise", "factor"),
    [
        (Rule.UNCHANGED, SGD, 100.0, 1.0),
        (Rule.LINEAR, ADAM, 100.0, 4.0),
        (Rule.SQRT, SGD, None, 2.0),
        (Rule.GAIN, SGD, 64.0, (1 + 64 / 32) / (1 + 64 / 128)),
        (Rule.GAIN, ADAM, 64.0, math.sqrt((1 + 64 / 32) / (1 + 64 / 128))),
        (Rule.AUTO, SGD, None, 4.0),
        (Rule.AUTO, None, None, 4.0),
        (Rule.AUTO, ADAM, None, 2.0),
        (Rule.AUTO, SGD, 64.0, 2.0),
    ],
)
def test_rules(rule: Rule, family: OptimizerFamily | None, noise: float | None, factor: float) -> None:
    assert learning_rate_factor(rule, 32, 128, optimizer_family=family, noise_scale=noise) == pytest.approx(factor)


def test_gain_without_a_noise_scale_is_refused() -> None:
    with pytest.raises(NotApplicable, match="not known yet"):
        learning_rate_factor(Rule.GAIN, 32, 64)


def test_a_batch_of_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="1 or more"):
        learning_rate_factor(Rule.LINEAR, 0, 64)


@given(old=sizes, new=sizes, noise=scales)
def test_gain_lies_between_unchanged_and_linear(old: int, new: int, noise: float) -> None:
    gain = learning_rate_factor(Rule.GAIN, old, new, optimizer_family=SGD, noise_scale=noise)
    low, high = sorted((1.0, new / old))
    assert low * (1 - 1e-9) <= gain <= high * (1 + 1e-9)


@given(old=sizes, new=sizes, noise=scales, rule=st.sampled_from(list(Rule)), family=st.sampled_from([SGD, ADAM, None]))
def test_there_and_back_again(old: int, new: int, noise: float, rule: Rule, family: OptimizerFamily | None) -> None:
    there = learning_rate_factor(rule, old, new, optimizer_family=family, noise_scale=noise)
    back = learning_rate_factor(rule, new, old, optimizer_family=family, noise_scale=noise)
    assert there * back == pytest.approx(1.0)


def test_gain_is_linear_far_below_the_noise_scale_and_flat_above() -> None:
    assert learning_rate_factor(Rule.GAIN, 32, 128, optimizer_family=SGD, noise_scale=1e9) == pytest.approx(4, rel=1e-5)
    assert learning_rate_factor(Rule.GAIN, 512, 2048, optimizer_family=SGD, noise_scale=1) == pytest.approx(1, rel=1e-2)


@pytest.mark.parametrize(
    ("name", "family"),
    [("SGD", SGD), ("AdamW", ADAM), ("NAdam", ADAM), ("RMSprop", ADAM), ("Adagrad", ADAM), ("LBFGS", None), ("", None)],
)
def test_families(name: str, family: OptimizerFamily | None) -> None:
    assert optimizer_family(name) is family


def test_the_rule_that_auto_stands_for() -> None:
    assert resolve_rule(Rule.AUTO, optimizer_family=ADAM, noise_scale=5.0) is Rule.GAIN
    assert resolve_rule(Rule.AUTO, optimizer_family=ADAM, noise_scale=None) is Rule.SQRT
    assert resolve_rule(Rule.LINEAR, optimizer_family=ADAM, noise_scale=5.0) is Rule.LINEAR


@pytest.mark.parametrize(
    ("family", "noise", "surge"), [(ADAM, 100.0, True), (ADAM, 300.0, False), (ADAM, None, False), (SGD, 100.0, False)]
)
def test_surge(family: OptimizerFamily, noise: float | None, surge: bool) -> None:
    assert adam_surge(200, optimizer_family=family, noise_scale=noise) is surge
