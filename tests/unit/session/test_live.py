"""The live session: an error in what looks at a run ends neither the run nor the view of it."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from bsmon.config.schema import Config
from bsmon.core.commands import Stop
from bsmon.core.records import EventKind
from bsmon.core.snapshot import BatchState, RunInfo, RunState
from bsmon.session import live
from bsmon.session.desk import AdvisorDesk
from bsmon.session.inbox import Inbox
from bsmon.session.journaling import JournalSink
from bsmon.session.mailbox import CommandMailbox
from bsmon.session.record import RunRecord
from bsmon.session.run_clock import RunClock
from tests.unit.session.test_replay import NoSampler, config, train
from tests.unit.store.happenings import training_steps


def failing(*_: object, **__: object) -> None:
    raise ZeroDivisionError("a bug")


def test_an_error_in_the_advisor_ends_the_advice_and_not_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    told = threading.Event()

    def waits(config: Config, observer: Inbox, mailbox: CommandMailbox, desk: AdvisorDesk) -> None:
        assert told.wait(20)  # the advisor has failed by now
        train(config, observer, mailbox, desk)

    def assess(*_: object) -> None:
        told.set()
        failing()

    monkeypatch.setattr(AdvisorDesk, "assess", assess)
    session = live.LiveSession(config(), waits, lambda _: NoSampler())
    session.start()
    assert session.ended.wait(20)
    last = session.snapshot()
    assert (last.state, last.progress.step) == (RunState.FINISHED, 50)
    said = [event.text for event in last.events if event.kind is EventKind.HEALTH]
    assert said == ["the advisor failed and says no more in this run: ZeroDivisionError: a bug"]


def test_a_record_that_fails_stops_the_training_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    stopped: list[bool] = []

    def endless(config: Config, observer: Inbox, mailbox: CommandMailbox, desk: AdvisorDesk) -> None:
        observer.steps(training_steps(1, 40).records)
        while not isinstance(command := mailbox.take(), Stop):
            mailbox.wait(20)
        stopped.append(command.save)

    monkeypatch.setattr(RunRecord, "steps", failing)
    session = live.LiveSession(config(), endless, lambda _: NoSampler())
    session.start()
    assert session.ended.wait(20)
    assert stopped == [True]
    last = session.snapshot()
    assert last.state is RunState.FAILED
    assert last.failure is not None
    assert last.failure.message == "the session failed: ZeroDivisionError: a bug"
    assert "in failing" in last.failure.traceback


def test_a_resumed_run_is_described_anew(tmp_path: Path) -> None:
    journal = tmp_path / "journal.jsonl"
    first = live.LiveSession(config(), train, lambda _: NoSampler(), journal=JournalSink(journal))
    first.start()
    assert first.ended.wait(20)
    built = threading.Event()

    def other(config: Config, observer: Inbox, mailbox: CommandMailbox, desk: AdvisorDesk) -> None:
        assert built.wait(20)
        observer.run_info(RunInfo("tried", model="cnn", epochs=20))
        observer.state(RunState.FINISHED)

    second = live.LiveSession(config(), other, lambda _: NoSampler(), journal=JournalSink(journal))
    second.start()
    before = second.snapshot()
    assert before.progress.step == 50
    assert (before.run.name, before.run.model, before.run.epochs) == ("tried", "", None)
    built.set()
    assert second.ended.wait(20)
    assert (second.snapshot().run.model, second.snapshot().run.epochs) == ("cnn", 20)


def test_the_learning_rate_is_the_newest_one_also_after_the_end() -> None:
    record = RunRecord(RunInfo("scheduled"), RunClock())
    record.batch(BatchState(32, 32, 1, learning_rate=1e-6))  # a warm-up's first
    record.steps(training_steps(1, 5).records)
    record.state(RunState.STOPPED, "")
    stopped = record.freeze().batch
    assert stopped is not None
    assert stopped.learning_rate == 1e-3
    record.batch(BatchState(64, 64, 1, learning_rate=2e-3))  # changed while no step is made
    changed = record.freeze().batch
    assert changed is not None
    assert changed.learning_rate == 2e-3
