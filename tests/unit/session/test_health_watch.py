"""Events about loss and gradients: told when something begins, silent while it goes on, told again after a pause."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from bsmon.core.happenings import Moment, Noted
from bsmon.core.records import Evaluation, EventKind, GradientStats, Level, Step
from bsmon.core.snapshot import BatchState, RunInfo
from bsmon.session.health_watch import HealthWatch
from bsmon.session.record import RunRecord


def record(precision: str = "fp32") -> RunRecord:
    made = RunRecord(RunInfo(name="run"), lambda: Moment(0.0, 0.0))
    made.run_info(RunInfo(name="run", precision=precision))
    made.batch(BatchState(32, 32, 1, 0.1))
    return made


def train(made: RunRecord, losses: list[float]) -> None:
    first = made.step + 1
    made.steps([Step(n, 1, n * 32, 32, 32, 0.1, loss, 0.0, 0.01, 0.0) for n, loss in enumerate(losses, first)])


def steady(count: int, level: float = 1.0, noise: float = 0.05) -> list[float]:
    chance = random.Random(count)
    return [level * chance.gauss(1, noise) for _ in range(count)]


def falling(count: int) -> list[float]:
    return [loss * (1 - 0.7 * place / count) for place, loss in enumerate(steady(count))]


def only(noted: list[Noted]) -> Noted:
    assert len(noted) == 1, noted
    assert noted[0].kind is EventKind.HEALTH
    return noted[0]


def test_nothing_to_tell_of_a_good_run() -> None:
    made, watch = record(), HealthWatch()
    for second in range(10):
        train(made, falling(1000)[second * 100 : second * 100 + 100])
        made.measured(GradientStats(made.step, norm=1.0, nonfinite=0))
        assert watch.look(made, second) == []


def test_a_spike_is_told_with_what_is_usual() -> None:
    made, watch = record(), HealthWatch()
    train(made, [*steady(150), 5.0, *steady(20)])
    told = only(watch.look(made, 0.0))
    assert told.text.startswith("loss spike at step 151: 5, 5.0 times the usual 1.00")
    assert told.level is Level.WARNING
    assert (told.data["spike_step"], told.data["spikes"]) == (151, 1)
    assert watch.look(made, 1.0) == []


def test_many_spikes_are_one_event_in_ten_seconds() -> None:
    made, watch = record(), HealthWatch()
    train(made, [*steady(150), 5.0, *steady(20)])
    only(watch.look(made, 0.0))
    train(made, [9.0, *steady(120), 30.0, *steady(10)])
    assert watch.look(made, 9.0) == []
    told = only(watch.look(made, 10.0))
    assert told.text.startswith("2 loss spikes, the largest at step 293: 30,")


def test_a_blow_up_is_told_once_and_again_when_it_comes_back() -> None:
    made, watch = record(), HealthWatch()
    train(made, [*steady(100), *steady(30, level=20.0)])
    told = only([noted for noted in watch.look(made, 0.0) if "spike" not in noted.text])
    assert told.level is Level.ERROR
    assert told.text.startswith("the loss blew up: 17.8 times")
    train(made, steady(10, level=20.0))
    assert watch.look(made, 5.0) == []
    train(made, steady(3))
    assert [noted.text for noted in watch.look(made, 6.0) if "blew" in noted.text] == []
    train(made, steady(10, level=20.0))
    assert "blew up" in watch.look(made, 30.0)[0].text


def test_a_verdict_that_wavers_is_told_once() -> None:
    made, watch = record(), HealthWatch()
    train(made, steady(100))
    told = []
    for second in range(40):
        train(made, steady(10, level=20.0 if second % 2 else 1.0))
        told += [noted for noted in watch.look(made, second) if "blew up" in noted.text]
    assert len(told) == 1


def test_lost_progress() -> None:
    made, watch = record(), HealthWatch()
    train(made, falling(400))
    assert watch.look(made, 0.0) == []
    train(made, steady(100, level=0.75))
    told = only([noted for noted in watch.look(made, 20.0) if "spike" not in noted.text])
    assert told.text.startswith("the loss lost progress: ")
    assert 0.25 < float(told.data["progress_lost"] or 0) < 1


def test_a_loss_that_barely_moves() -> None:
    made, watch = record(), HealthWatch()
    train(made, steady(250, noise=0.01))
    told = only(watch.look(made, 0.0))
    assert told.text.startswith("the loss barely moves: ")
    assert float(told.data["improvement"] or 1) < 0.05
    train(made, steady(250, noise=0.01))
    assert watch.look(made, 10.0) == []


def evaluations() -> Iterator[Evaluation]:
    for number in range(16):
        loss = 1 - 0.1 * number if number < 5 else 0.5 + 0.06 * (number - 4)
        yield Evaluation(number, number, loss, None, 100, 0.1)


def test_overfitting() -> None:
    made, watch = record(), HealthWatch()
    told = []
    losses = falling(640)
    for number, result in enumerate(evaluations()):
        train(made, losses[40 * number : 40 * number + 40])
        made.evaluation(result)
        told += watch.look(made, number)
    assert only(told).text.startswith("overfitting: the validation loss is above its best by ")
    assert only(told).data["validation_rise"]


def test_nan_gradients_are_told_with_their_count() -> None:
    made, watch = record(), HealthWatch()
    train(made, steady(5))
    made.measured(GradientStats(4, norm=float("nan"), nonfinite=1200))
    told = only(watch.look(made, 0.0))
    assert told.text == "the gradient of step 4 has 1,200 NaN or infinite elements"
    assert told.level is Level.WARNING
    assert made.findings.loss_health.health().nonfinite is True
    made.measured(GradientStats(5, norm=float("nan"), nonfinite=1200))
    assert watch.look(made, 1.0) == []


def test_an_overflow_of_half_precision_asks_for_no_lower_learning_rate() -> None:
    made, watch = record("fp16"), HealthWatch()
    train(made, steady(5))
    made.measured(GradientStats(4, norm=float("inf"), nonfinite=3))
    told = only(watch.look(made, 0.0))
    assert told.level is Level.INFO
    assert "the update was skipped" in told.text
    assert made.findings.loss_health.health().nonfinite is False


@pytest.mark.parametrize("losses_after", [0, 200])
def test_one_nan_gradient_does_not_hide_the_losses_after_it(losses_after: int) -> None:
    made = record()
    train(made, steady(5))
    made.measured(GradientStats(4, norm=float("nan"), nonfinite=1))
    train(made, steady(losses_after + 1))
    assert made.findings.loss_health.health().nonfinite is (losses_after == 0)
