"""Commands during a run: each takes effect at a step boundary, and an event says what came of it and when."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from bsmon.core.commands import (
    ApplyAdvice,
    Command,
    Evaluate,
    Pause,
    Release,
    Resume,
    Save,
    ScaleBatchSize,
    SetBatchSize,
    SetLearningRate,
    SetMicroBatchSize,
    Source,
    Stop,
    Undo,
)
from bsmon.core.records import EventKind, Level
from bsmon.core.snapshot import RunState
from bsmon.engine.memory_guard import MemoryGuard
from tests.unit.engine.harness import Due, Said, config_for, play

AT = 4


def said(tmp_path: Path, *commands: Command, kind: EventKind) -> Said:
    """The one event of this kind that a run tells of commands given after 4 updates of 4 samples."""
    played = play(config_for(), tmp_path, [(AT, command) for command in commands])
    (event,) = [event for event in played.recorder.events if event.kind is kind]
    return event


@pytest.mark.parametrize(
    ("command", "kind", "words"),
    [
        (SetBatchSize(8), EventKind.BATCH, "batch size 4 -> 8, micro batch 4 x 2, learning rate 0.01 -> 0.02 (linear)"),
        (ScaleBatchSize(0.5), EventKind.BATCH, "batch size 4 -> 2, learning rate 0.01 -> 0.005 (linear)"),
        (SetMicroBatchSize(2), EventKind.BATCH, "micro batch 2 x 2 (batch size 4)"),
        (SetLearningRate(0.5), EventKind.LEARNING_RATE, "learning rate 0.01 -> 0.5"),
        (Stop(), EventKind.RUN, "stopping now"),
        (Stop(after_epoch=True), EventKind.RUN, "stopping at the end of this epoch"),
        (Undo(), EventKind.REFUSED, "There is no batch change to undo."),
        (Release(), EventKind.REFUSED, "Nothing is set by hand; the advisor may change everything."),
        (Resume(), EventKind.REFUSED, "The run is not paused."),
        (SetBatchSize(25), EventKind.REFUSED, "25 is more than the 24 training samples."),
        (ApplyAdvice(), EventKind.REFUSED, "ApplyAdvice is not something that this run can do."),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else "",
)
def test_every_command_is_answered_with_its_step(command: Command, kind: EventKind, words: str, tmp_path: Path) -> None:
    event = said(tmp_path, command, kind=kind)
    assert event.text.startswith(words)
    assert event.step == AT
    assert (event.level is Level.WARNING) == (kind is EventKind.REFUSED)


def test_a_change_of_the_batch_is_acknowledged_with_all_its_numbers(tmp_path: Path) -> None:
    data = said(tmp_path, SetBatchSize(8, source=Source.ADVICE), kind=EventKind.BATCH).data
    assert {key: data[key] for key in ("old", "new", "micro_batch_size", "rule", "source")} == {
        "old": 4,
        "new": 8,
        "micro_batch_size": 4,
        "rule": "linear",
        "source": "advice",
    }
    assert (data["old_learning_rate"], data["learning_rate"]) == (0.01, 0.02)


def test_the_plan_in_force_is_announced_at_the_start_and_at_every_change(tmp_path: Path) -> None:
    played = play(config_for(), tmp_path, [(AT, SetBatchSize(8)), (6, Undo())])
    assert [(batch.batch_size, batch.can_undo) for batch in played.recorder.batches] == [
        (4, False),
        (8, True),
        (4, False),
    ]


def test_the_first_step_after_a_command_is_made_with_it(tmp_path: Path) -> None:
    commands: list[Due] = [(2, SetBatchSize(8)), (3, SetLearningRate(0.5))]
    steps = play(config_for(), tmp_path, commands).recorder.steps_made
    assert [(step.batch_size, step.learning_rate) for step in steps[:4]] == [
        (4, 0.01),
        (4, 0.01),
        (8, 0.02),
        (8, 0.5),
    ]


def test_a_paused_run_obeys_and_goes_on(tmp_path: Path) -> None:
    commands: list[Due] = [(2, Pause()), (2, SetBatchSize(8)), (2, Resume())]
    played = play(config_for(), tmp_path, commands)
    assert played.recorder.texts(EventKind.RUN)[:2] == ["paused", "resumed"]
    assert RunState.PAUSED in played.recorder.states or played.recorder.steps_made[2].batch_size == 8
    assert sum(step.batch_size for step in played.recorder.steps_made) == 48


def test_a_paused_run_waits_until_somebody_asks_for_more(tmp_path: Path) -> None:
    played = play(config_for(), tmp_path, [(2, Pause())])  # the script resumes it once it waits
    states = played.recorder.states
    assert states[states.index(RunState.PAUSED) :] == [RunState.PAUSED, RunState.TRAINING, RunState.FINISHED]


def test_a_paused_run_is_evaluated_at_once_and_stays_paused(tmp_path: Path) -> None:
    commands: list[Due] = [(2, Pause()), (3, Evaluate()), (4, Resume())]
    recorder = play(config_for("validated"), tmp_path, commands).recorder
    assert [result.step for result in recorder.evaluations] == [2]
    assert recorder.states.count(RunState.PAUSED) == 2


def test_a_stop_after_the_epoch_ends_a_pause_for_good(tmp_path: Path) -> None:
    played = play(config_for(), tmp_path, [(2, Pause()), (3, Stop(after_epoch=True))])
    assert played.recorder.states.count(RunState.PAUSED) == 1
    assert played.recorder.states[-1] is RunState.STOPPED
    assert played.spy.made[played.last_step].epoch == 1


def test_the_time_that_a_command_takes_is_no_wait_for_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    took = 0.2
    monkeypatch.setattr(MemoryGuard, "forecast_around", lambda _: time.sleep(took))
    recorder = play(config_for(), tmp_path, [(2, SetBatchSize(8))]).recorder
    changed = recorder.steps_made[2]
    assert (changed.step, changed.batch_size) == (3, 8)
    assert changed.duration_s - changed.data_wait_s >= took


def test_a_stop_ends_a_pause(tmp_path: Path) -> None:
    played = play(config_for(), tmp_path, [(2, Pause()), (3, Stop())])
    assert (played.recorder.states[-1], played.last_step) == (RunState.STOPPED, 2)


@pytest.mark.parametrize(("save", "files"), [(True, 1), (False, 0)])
def test_a_stop_saves_if_it_is_to(save: bool, files: int, tmp_path: Path) -> None:
    played = play(config_for(), tmp_path, [(AT, Stop(save=save))])
    assert (played.recorder.states[-1], played.last_step) == (RunState.STOPPED, AT)
    assert len(list(tmp_path.glob("*.pt"))) == files


def test_a_stop_after_the_epoch_ends_where_the_epoch_does(tmp_path: Path) -> None:
    played = play(config_for(epochs=3), tmp_path, [(AT, Stop(after_epoch=True))])
    assert (played.recorder.states[-1], played.last_step) == (RunState.STOPPED, 6)


def test_saving_now_is_told_with_the_step_that_was_saved(tmp_path: Path) -> None:
    played = play(config_for(), tmp_path, [(AT, Save()), (AT, Stop(save=False))])
    steps = [event.data["saved_step"] for event in played.recorder.events if event.kind is EventKind.CHECKPOINT]
    assert steps == [AT]


def test_evaluating_now_needs_something_to_evaluate_on(tmp_path: Path) -> None:
    played = play(config_for(), tmp_path, [(AT, Evaluate())])
    assert played.recorder.evaluations == []
    assert played.recorder.states[-1] is RunState.FINISHED


def test_undo_taken_back_twice_is_refused_the_second_time(tmp_path: Path) -> None:
    played = play(config_for(), tmp_path, [(2, SetBatchSize(8)), (3, Undo()), (3, Undo())])
    assert played.recorder.texts(EventKind.REFUSED) == ["There is no batch change to undo."]


def test_a_bad_verdict_takes_the_change_back_with_the_weights(tmp_path: Path) -> None:
    # The pause has all steps reported; the verdict comes with them.
    played = play(config_for("rows", "nan", epochs=3), tmp_path, [(1, SetBatchSize(6)), (3, Pause())])
    assert any("reverted: the loss is not a finite number" in text for text in played.recorder.texts(EventKind.BATCH))
    assert played.recorder.rewinds == [1]
    assert {step.batch_size for step in played.recorder.steps_made} == {4}
