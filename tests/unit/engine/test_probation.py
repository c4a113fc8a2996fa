"""A batch change on probation: kept, slower, or harmful to the loss."""

from __future__ import annotations

import math
import random

import pytest

from bsmon.core.records import Step
from bsmon.engine.probation import PROBATION_STEPS, Probation, Verdict


def steps(first: int, losses: list[float], *, batch: int = 32, seconds: float = 0.01, noise: float = 0.0) -> list[Step]:
    """Steps with these losses; durations scatter by `noise` (relative, normal)."""
    chance = random.Random(first)
    return [
        Step(first + i, 1, 0, batch, batch, 0.1, loss, 0.0, seconds * max(0.1, chance.gauss(1, noise)), 0.0)
        for i, loss in enumerate(losses)
    ]


def judge(before: list[Step], after: list[Step], *, grows: bool = True, at: int | None = None) -> Verdict | None:
    """The verdict, steps handed over a few at a time as the engine does it."""
    probation = Probation()
    probation.watch(before)
    probation.begin(before[-1].step if at is None else at, grows=grows)
    for start in range(0, len(after), 7):
        probation.watch(after[start : start + 7])
        verdict = probation.take_verdict()
        if verdict is not None:
            return verdict
    return None


GOOD = [1.0] * 60
BEFORE = steps(1, GOOD)


def test_a_change_without_harm_is_kept() -> None:
    verdict = judge(BEFORE, steps(61, GOOD, batch=64))
    assert verdict is not None
    assert (verdict.keep, verdict.weights) == (True, False)
    assert verdict.reason == "6,400 samples/s instead of 3,200"


def test_no_verdict_before_the_time_is_over() -> None:
    assert judge(BEFORE, steps(61, GOOD[: PROBATION_STEPS - 1], batch=64)) is None


def test_a_larger_batch_that_is_slower_is_taken_back() -> None:
    verdict = judge(BEFORE, steps(61, GOOD, batch=64, seconds=0.03))
    assert verdict is not None
    assert (verdict.keep, verdict.weights) == (False, False)
    assert verdict.reason == "it is slower, 2,133 samples/s instead of 3,200"


def test_a_smaller_batch_may_be_slower() -> None:
    verdict = judge(BEFORE, steps(61, GOOD, batch=16), grows=False)
    assert verdict is not None
    assert verdict.keep


@pytest.mark.parametrize("seed", range(40))
def test_noise_alone_takes_nothing_back(seed: int) -> None:
    before = steps(1 + 1000 * seed, GOOD, noise=0.3)
    after = steps(before[-1].step + 1, GOOD, batch=64, seconds=0.02, noise=0.3)
    verdict = judge(before, after)
    assert verdict is not None
    assert verdict.keep


@pytest.mark.parametrize("lost", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_no_number_takes_weights_and_change_back_at_once(lost: float) -> None:
    verdict = judge(BEFORE, steps(61, [1.0, 1.0, lost], batch=64))
    assert verdict == Verdict(keep=False, reason="the loss is not a finite number any more", weights=True)


def test_a_loss_that_was_none_before_is_not_the_changes_doing() -> None:
    before = steps(1, [*GOOD[:20], math.nan])
    verdict = judge(before, steps(22, [math.nan] * PROBATION_STEPS, batch=64))
    assert verdict is not None
    assert verdict.keep


def test_a_blow_up_takes_weights_and_change_back() -> None:
    verdict = judge(BEFORE, steps(61, [1.0, 4.0, 9.0], batch=64))
    assert verdict is not None
    assert (verdict.keep, verdict.weights) == (False, True)
    assert verdict.reason == "the loss blew up, from at most 1 to 9"


def test_a_single_spike_is_no_blow_up() -> None:
    verdict = judge(BEFORE, steps(61, [1.0, 9.0, *GOOD], batch=64))
    assert verdict is not None
    assert verdict.keep


def test_tiny_batches_are_judged_in_groups_of_samples() -> None:
    before = steps(1, GOOD, batch=1)
    noisy = [9.0 if index % 4 == 0 else 0.5 for index in range(60)]
    verdict = judge(before, steps(61, noisy, batch=1), grows=False)
    assert verdict is not None
    assert verdict.keep, "groups of 8 samples have a mean of 2.6, below 3"


def test_with_too_few_steps_before_only_a_lost_loss_counts() -> None:
    before = steps(1, [1.0] * 5)
    verdict = judge(before, steps(6, [50.0] * PROBATION_STEPS, batch=64, seconds=1.0))
    assert verdict is not None
    assert verdict.keep
    assert "too few steps" in verdict.reason
    lost = judge(before, steps(6, [math.nan], batch=64))
    assert lost is not None
    assert not lost.keep


def test_steps_from_before_the_change_that_arrive_late_are_not_judged() -> None:
    late = steps(61, [math.nan])
    assert judge(BEFORE, [*late, *steps(62, GOOD[:10], batch=64)], at=61) is None


def test_a_second_change_is_compared_with_what_was_before_the_first() -> None:
    probation = Probation()
    probation.watch(BEFORE)
    probation.begin(60, grows=True)
    probation.watch(steps(61, GOOD[:20], batch=64, seconds=0.2))
    assert probation.take_verdict() is None
    probation.begin(80, grows=True)
    probation.watch(steps(81, GOOD, batch=128, seconds=0.2))
    verdict = probation.take_verdict()
    assert verdict is not None
    assert not verdict.keep
    assert verdict.reason.endswith("instead of 3,200")


def test_a_change_that_was_taken_back_is_judged_no_more() -> None:
    probation = Probation()
    probation.watch(BEFORE)
    probation.begin(60, grows=True)
    probation.cancel()
    probation.watch(steps(61, [math.nan] * PROBATION_STEPS))
    assert probation.take_verdict() is None


@pytest.mark.parametrize("again", [False, True], ids=["taken back", "changed again"])
def test_a_verdict_that_nobody_took_is_void_after_the_next_change(again: bool) -> None:
    probation = Probation()
    probation.watch(BEFORE)
    probation.begin(60, grows=True)
    probation.watch(steps(61, [math.nan]))
    if again:
        probation.begin(61, grows=True)
    else:
        probation.cancel()
    assert probation.take_verdict() is None
