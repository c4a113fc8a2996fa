"""Holding, dismissing and scoring; and the learning rate range test."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest

from bsmon.advisor.advisor import WINDOWS, Advisor
from bsmon.advisor.evidence import Corrections, Evidence, Limits
from bsmon.advisor.lr_range import exploded, steepest
from bsmon.advisor.score import Scorebook
from bsmon.core.advice import Action, Advice, AdvisorView, Prediction
from tests.unit.advisor.builders import CALM, advice_for, known, sick

LARGER = replace(CALM, noise_scale=known(1024))
SMALLER = replace(CALM, noise_scale=known(1))


def looked(advisor: Advisor, evidence: Evidence, times: int = 1) -> AdvisorView:
    for _ in range(times):
        view = advisor.look(evidence, Limits())
    return view


def new_size(view: AdvisorView) -> int:
    assert view.advice is not None
    return view.advice.new_batch_size


def test_advice_must_hold_for_three_windows() -> None:
    advisor = Advisor()
    assert [new_size(looked(advisor, LARGER)) for _ in range(WINDOWS)] == [32, 32, 128]


@pytest.mark.parametrize("between", [CALM, SMALLER])
def test_an_interruption_starts_the_count_anew(between: Evidence) -> None:
    advisor = Advisor()
    looked(advisor, LARGER, WINDOWS - 1)
    looked(advisor, between)
    assert new_size(looked(advisor, LARGER)) == 32


def test_another_size_in_the_same_direction_does_not() -> None:
    advisor = Advisor()
    looked(advisor, replace(CALM, noise_scale=known(300)), WINDOWS - 1)
    assert new_size(looked(advisor, LARGER)) == 128


def test_instability_cannot_wait() -> None:
    advice = looked(Advisor(), sick(nonfinite=True)).advice
    assert advice is not None
    assert advice.action is Action.LEARNING_RATE


def test_dismissed_until_a_step_or_until_it_changes() -> None:
    advisor = Advisor()
    looked(advisor, LARGER, WINDOWS)
    assert advisor.dismiss(1000) == "until step 2,000, or until the advice changes"
    view = looked(advisor, replace(LARGER, step=1999))
    assert new_size(view) == 32
    assert view.dismissed_until.startswith("until step 2,000")
    # Something else is heard meanwhile.
    assert new_size(looked(advisor, replace(SMALLER, step=1999), WINDOWS)) == 8
    assert new_size(looked(advisor, replace(LARGER, step=2000), WINDOWS)) == 128


def test_an_applied_change_is_given_time_to_settle() -> None:
    advisor, broken = Advisor(), sick(lost_progress=True)
    advice = looked(advisor, broken).advice
    assert advice is not None
    advisor.applied(advice, step=1000)
    actions = {}
    for step in (1000, 1199, 1200):
        seen = looked(advisor, replace(broken, step=step)).advice
        actions[step] = seen.action if seen is not None else None
    assert actions == {1000: Action.KEEP, 1199: Action.KEEP, 1200: Action.LEARNING_RATE}


def test_keeping_cannot_be_dismissed() -> None:
    advisor = Advisor()
    looked(advisor, CALM)
    assert advisor.dismiss(10) == ""


def applied(peak: int | None = 100, speed: float | None = 1000.0, time: float | None = 0.8) -> Advice:
    return replace(advice_for(LARGER), prediction=Prediction(peak, speed, 0.9, time))


def test_score_and_corrections() -> None:
    book = Scorebook()
    book.applied(applied())
    assert book.waiting
    book.measured(peak_bytes=125, samples_per_second=800.0, relative_progress=1.0)
    score = book.score
    assert (score.applied, score.reverted) == (1, 0)
    assert score.memory_error == pytest.approx(0.2)
    assert score.samples_per_second_error == pytest.approx(0.25)
    assert score.progress_error == pytest.approx(0.25)
    assert book.corrections == Corrections(1.25, 0.8)


def test_a_prediction_of_at_most_is_not_scored() -> None:
    book = Scorebook()
    advice = applied()
    book.applied(replace(advice, prediction=replace(advice.prediction, is_bound=True)))
    book.measured(samples_per_second=800.0, relative_progress=3.0)
    assert book.score.samples_per_second_error == pytest.approx(0.25)
    assert book.score.progress_error is None


def test_a_corrected_prediction_that_is_right_keeps_its_correction() -> None:
    book = Scorebook()
    book.applied(applied())
    book.measured(peak_bytes=125)
    book.applied(applied(peak=125))
    book.measured(peak_bytes=125)
    assert book.corrections.peak_bytes == pytest.approx(1.25)


def test_unknown_and_unapplied_measure_nothing() -> None:
    book = Scorebook()
    book.measured(peak_bytes=125)
    book.applied(applied(peak=None, speed=None, time=None))
    book.measured(peak_bytes=125, samples_per_second=1.0, relative_progress=1.0)
    assert (book.score.memory_error, book.score.samples_per_second_error, book.score.progress_error) == (None,) * 3
    assert book.corrections == Corrections()


def test_a_change_taken_back_is_not_measured() -> None:
    book = Scorebook()
    book.applied(applied())
    book.reverted()
    book.measured(peak_bytes=125)
    assert (book.score.reverted, book.score.memory_error) == (1, None)


def test_one_wild_measurement_is_held_back() -> None:
    book = Scorebook()
    book.applied(applied())
    book.measured(peak_bytes=100_000)
    assert book.corrections.peak_bytes == 2


def test_what_was_learned_reaches_the_next_prediction() -> None:
    advisor = Advisor()
    first = looked(advisor, LARGER, WINDOWS).advice
    assert first is not None
    said = first.prediction.samples_per_second
    assert said is not None
    advisor.applied(first, step=CALM.step)
    advisor.scores.measured(samples_per_second=said / 2)
    view = looked(advisor, replace(LARGER, step=CALM.step + 200), WINDOWS)
    assert view.advice is not None
    assert view.advice.prediction.samples_per_second == pytest.approx(said / 2)
    assert view.score.applied == 1


def test_the_learning_rate_range_test_finds_the_steepest_fall() -> None:
    """A loss that falls most around 1e-2 and explodes past 1."""
    rates = [1e-6 * 10 ** (i / 20) for i in range(160)]
    losses = [2.3 - 1.5 / (1 + (1e-2 / rate) ** 2) + max(0.0, rate - 0.5) * 100 for rate in rates]
    found = steepest(rates, losses)
    assert found is not None
    assert 5e-3 < found < 5e-2


@pytest.mark.parametrize("seed", range(5))
def test_the_range_test_is_not_misled_by_noise_or_by_the_way_back_from_a_spike(seed: int) -> None:
    noise = random.Random(seed)
    rates = [1e-6 * 10 ** (i / 100) for i in range(700)]
    losses = [2.3 - 1.5 / (1 + (1e-2 / rate) ** 2) + noise.gauss(0, 0.3) for rate in rates]
    losses[550:570] = [8.0] * 20  # at 0.3, and back at once
    found = steepest(rates, losses)
    assert found is not None
    assert 3e-3 < found < 5e-2


def test_a_range_test_that_never_falls_finds_nothing() -> None:
    rates = [1e-6 * 1.2**i for i in range(60)]
    assert steepest(rates, [1.0 + 0.01 * i for i in range(60)]) is None
    assert steepest(rates[:5], [1.0] * 5) is None
    assert steepest([], []) is None


@pytest.mark.parametrize(("loss", "stop"), [(9.9, False), (10.1, True), (math.nan, True), (math.inf, True)])
def test_the_range_test_stops_at_ten_times_the_first_loss(loss: float, stop: bool) -> None:
    assert exploded(1.0, loss) is stop
