"""What may be changed while a run trains, and in which words it is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bsmon.advisor.scaling import OptimizerFamily, learning_rate_factor
from bsmon.core.commands import (
    LearningRateRule,
    ScaleBatchSize,
    SetBatchSize,
    SetLearningRate,
    SetMicroBatchSize,
    Source,
)
from bsmon.core.errors import NotApplicable
from bsmon.engine.controls import Bounds, Controls
from bsmon.engine.plan import BatchPlan


def scale(rule: LearningRateRule, old: int, new: int) -> tuple[float, LearningRateRule]:
    """The advisor's scaling for SGD."""
    resolved = LearningRateRule.LINEAR if rule is LearningRateRule.AUTO else rule
    return learning_rate_factor(resolved, old, new, optimizer_family=OptimizerFamily.SGD, noise_scale=None), resolved


def controls(
    batch: int = 32, rate: float = 0.1, minimum: int = 1, maximum: int | None = None, samples: int = 1000
) -> Controls:
    bounds = Bounds(minimum, maximum, samples)
    return Controls(BatchPlan(batch, batch), rate, bounds, LearningRateRule.AUTO, scale)


REFUSED = [
    (SetBatchSize(0), "A batch needs at least 1 sample; 0 cannot be."),
    (SetBatchSize(-3), "A batch needs at least 1 sample; -3 cannot be."),
    (SetBatchSize(1001), "1,001 is more than the 1,000 training samples."),
    (SetBatchSize(3), "3 is below your own limit, [batch] min = 4."),
    (SetBatchSize(257), "257 is above your own limit, [batch] max = 256."),
    (SetBatchSize(32), "The batch size is 32 already."),
    (ScaleBatchSize(1.0), "The batch size is 32 already."),
    (ScaleBatchSize(16.0), "512 is above your own limit, [batch] max = 256."),
    (SetBatchSize(64, learning_rate=0.0), "A learning rate is a number above 0; 0 cannot be."),
    (SetBatchSize(64, learning_rate=float("nan")), "A learning rate is a number above 0; nan cannot be."),
]


@pytest.mark.parametrize(("command", "sentence"), REFUSED, ids=lambda value: str(value)[:40])
def test_a_batch_size_that_cannot_be_is_refused_in_words(command: SetBatchSize | ScaleBatchSize, sentence: str) -> None:
    made = controls(minimum=4, maximum=256)
    before = made.state()
    with pytest.raises(NotApplicable) as refusal:
        made.set_batch_size(command, 1.0)
    assert str(refusal.value) == sentence
    assert (made.state(), made.by_hand) == (before, set())


def test_a_batch_of_one_cannot_be_halved() -> None:
    with pytest.raises(NotApplicable, match="The batch size is 1 and cannot be smaller"):
        controls(batch=1).set_batch_size(ScaleBatchSize(1.5), 1.0)
    with pytest.raises(NotApplicable, match="at least 1 sample"):
        controls(batch=1).set_batch_size(ScaleBatchSize(0.5), 1.0)


@pytest.mark.parametrize(
    ("maximum", "largest"), [(None, 1000), (256, 256), (5000, 1000)], ids=["none", "own", "above the data"]
)
def test_the_largest_size_is_the_own_limit_or_the_data(maximum: int | None, largest: int) -> None:
    assert Bounds(1, maximum, 1000).largest == largest


@pytest.mark.parametrize(
    ("command", "size", "rate"),
    [
        (SetBatchSize(64), 64, 0.2),
        (ScaleBatchSize(0.5), 16, 0.05),
        (SetBatchSize(64, LearningRateRule.UNCHANGED), 64, 0.1),
        (SetBatchSize(128, LearningRateRule.SQRT), 128, 0.2),
        (SetBatchSize(64, learning_rate=0.7), 64, 0.7),
    ],
)
def test_the_learning_rate_follows_the_batch(command: SetBatchSize | ScaleBatchSize, size: int, rate: float) -> None:
    made = controls()
    change = made.set_batch_size(command, 1.0)
    assert (change.old.batch_size, change.new.batch_size, made.plan.batch_size) == (32, size, size)
    assert change.learning_rate == made.base_learning_rate == pytest.approx(rate)
    assert change.old_learning_rate == 0.1


@given(
    rate=st.integers(1, 10**6).map(lambda number: number / 10**7),
    rule=st.sampled_from([LearningRateRule.LINEAR, LearningRateRule.SQRT]),
    times=st.integers(1, 6),
)
def test_doubling_and_halving_gives_the_very_same_learning_rate(
    rate: float, rule: LearningRateRule, times: int
) -> None:
    made = controls(batch=8, rate=rate)
    for factor in [2.0] * times + [0.5] * times:
        made.set_batch_size(ScaleBatchSize(factor, rule), 1.0)
    assert (made.plan.batch_size, made.base_learning_rate) == (8, rate)


@given(factor=st.floats(0.01, 1), own=st.floats(1e-6, 1))
def test_a_rate_of_ones_own_is_the_present_one_whatever_the_schedule(factor: float, own: float) -> None:
    made = controls()
    change = made.set_batch_size(SetBatchSize(64, learning_rate=own), factor)
    assert change.learning_rate == pytest.approx(own)
    assert change.rule is LearningRateRule.UNCHANGED
    assert made.set_learning_rate(SetLearningRate(own / 2), factor)[1] == own / 2
    assert made.base_learning_rate * factor == pytest.approx(own / 2)


@pytest.mark.parametrize("value", [0.0, -1.0, float("inf"), float("nan")])
def test_a_learning_rate_that_cannot_be_is_refused(value: float) -> None:
    with pytest.raises(NotApplicable, match="A learning rate is a number above 0"):
        controls().set_learning_rate(SetLearningRate(value), 1.0)


def test_what_a_person_set_outranks_the_advisor_until_it_is_released() -> None:
    made = controls()
    made.set_batch_size(SetBatchSize(64), 1.0)
    made.set_learning_rate(SetLearningRate(0.5), 1.0)
    assert made.by_hand == {"batch_size", "learning_rate"}
    with pytest.raises(NotApplicable, match="batch size was set by hand; the advisor leaves it alone"):
        made.set_batch_size(SetBatchSize(128, source=Source.ADVISOR), 1.0)
    with pytest.raises(NotApplicable, match="learning rate was set by hand"):
        made.set_learning_rate(SetLearningRate(0.1, source=Source.ADVISOR), 1.0)
    made.release()
    made.set_batch_size(SetBatchSize(128, source=Source.ADVISOR), 1.0)
    assert made.by_hand == set()
    with pytest.raises(NotApplicable, match="Nothing is set by hand"):
        made.release()


def test_advice_that_a_person_applies_hands_the_batch_back_to_the_advisor() -> None:
    made = controls()
    made.set_batch_size(SetBatchSize(64), 1.0)
    made.set_batch_size(SetBatchSize(128, source=Source.ADVICE), 1.0)
    made.set_batch_size(SetBatchSize(64, source=Source.ADVISOR), 1.0)


@pytest.mark.parametrize("wanted", [0, 33])
def test_a_micro_batch_that_does_not_go_into_the_batch_is_refused(wanted: int) -> None:
    with pytest.raises(NotApplicable, match=f"A micro batch of {wanted} does not go into a batch of 32"):
        controls().set_micro_batch_size(SetMicroBatchSize(wanted))


def test_a_micro_batch_changes_neither_batch_nor_learning_rate() -> None:
    made = controls()
    change = made.set_micro_batch_size(SetMicroBatchSize(12))
    assert change.new == BatchPlan(32, 11)
    assert change.learning_rate == change.old_learning_rate == 0.1
    made.set_batch_size(SetBatchSize(64), 1.0)
    assert made.plan == BatchPlan(64, 11)
    made.set_micro_batch_size(SetMicroBatchSize(None))
    assert made.plan == BatchPlan(64, 64)


def test_a_fence_halves_the_micro_batch_until_it_is_lifted() -> None:
    made = controls()
    made.fence(32)
    assert made.plan == BatchPlan(32, 16)
    with pytest.raises(NotApplicable, match="A micro batch of 20 ran out of memory; 16 fits"):
        made.set_micro_batch_size(SetMicroBatchSize(20))
    made.set_batch_size(SetBatchSize(64), 1.0)
    assert made.plan == BatchPlan(64, 16)
    made.fence(100)
    assert made.largest_micro_batch == 16, "a fence beyond a nearer one changes nothing"
    made.lift_fence()
    assert made.plan == BatchPlan(64, 64)


def test_the_state_brings_everything_back() -> None:
    made, other = controls(), controls()
    made.fence(32)
    made.set_batch_size(SetBatchSize(100), 1.0)
    made.set_micro_batch_size(SetMicroBatchSize(10))
    other.restore(made.state())
    assert other.state() == made.state()
    assert other.plan == made.plan == BatchPlan(100, 10)
