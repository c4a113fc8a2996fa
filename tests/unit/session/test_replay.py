"""Replaying a journal: the same state as the live session had, at every place, forwards and backwards."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bsmon.config.load import parse
from bsmon.config.schema import Config
from bsmon.core.commands import Pause
from bsmon.core.happenings import Happening, Measured, Moment, Noted, PlanSet, Rewound, StateChanged, StepsMade
from bsmon.core.records import Evaluation, EventKind, GradientStats, Level
from bsmon.core.snapshot import BatchState, RunInfo, RunState, Snapshot
from bsmon.session.desk import AdvisorDesk
from bsmon.session.inbox import Inbox
from bsmon.session.journaling import JournalSink
from bsmon.session.live import LiveSession
from bsmon.session.mailbox import CommandMailbox
from bsmon.session.playback import Playback
from bsmon.session.replay import FollowSession, ReplaySession
from bsmon.store.journal_writer import JournalWriter
from bsmon.store.provenance import about_this_process
from bsmon.store.run_dir import RunDir
from tests.unit.store.happenings import happenings, training_steps

BEGAN = Moment(0.0, 1_700_000_000.0)


class NoSampler:
    def start(self) -> None: ...
    def stop(self) -> None: ...
    def set_device(
        self, uuid: str | None, torch_device: str, others: Sequence[tuple[str | None, str]] = ()
    ) -> None: ...
    def set_data_paths(self, paths: Sequence[str]) -> None: ...


def config() -> Config:
    return parse('[data]\ntask = "digits"\n[model]\nname = "mlp"\n[run]\nname = "tried"\n', Path("tried.toml"), [])


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    from datetime import UTC, datetime

    return RunDir.create(tmp_path, "tried", datetime.now(UTC), config=b"", about=about_this_process())


def train(config: Config, observer: Inbox, mailbox: CommandMailbox, desk: AdvisorDesk) -> None:
    """A training as the engine reports one, with a change and an evaluation."""
    observer.run_info(RunInfo("tried", task="digits", model="mlp", train_samples=1000, epochs=10))
    observer.batch(BatchState(32, 32, 1, 1e-3))
    observer.state(RunState.TRAINING)
    observer.steps(training_steps(1, 40).records)
    observer.measured(GradientStats(40, 0.5))
    observer.event(EventKind.BATCH, Level.GOOD, "batch size 32 -> 64", 40, old=32, new=64)
    observer.batch(BatchState(64, 64, 1, 1e-3))
    observer.steps(training_steps(41, 10, 64).records)
    observer.evaluation(Evaluation(50, 2, 0.75, 0.5, 100, 0.1))
    observer.state(RunState.FINISHED)


def live(run: RunDir) -> Snapshot:
    """Train to the end; the last snapshot."""
    journal = JournalSink(run.journal_path)
    session = LiveSession(config(), train, lambda _: NoSampler(), run_dir=str(run.path), journal=journal)
    session.start()
    assert session.ended.wait(20)
    last = session.snapshot()
    run.update(status=last.state.value)
    return last


def seen(snapshot: Snapshot) -> tuple[object, ...]:
    """What a place is known by. Speed and the like have a point per report, and reports are cut at the place."""
    progress = snapshot.progress
    losses = [(name, series.mean) for name, series in snapshot.series.items() if "loss" in name]
    counts = (progress.epoch, progress.step, progress.samples, progress.epoch_samples)
    return counts, losses, snapshot.marks, snapshot.gradients, snapshot.batch, told(snapshot)


def told(snapshot: Snapshot) -> list[tuple[object, ...]]:
    return [(e.number, e.kind, e.level, e.text, e.step, dict(e.data)) for e in snapshot.events]


def test_a_replay_ends_where_the_live_session_did(run: RunDir) -> None:
    last = live(run)
    replayed = ReplaySession(run).snapshot()
    assert replayed.run.model == "mlp"
    assert replayed.progress.step == last.progress.step == 50
    assert replayed.progress.elapsed_s == pytest.approx(last.progress.elapsed_s, abs=1e-3)
    assert replayed.marks == last.marks
    assert told(replayed) == told(last)
    for name, series in last.series.items():
        assert replayed.series[name].mean == pytest.approx(series.mean, rel=1e-6), name
    assert [event.clock for event in replayed.events] == pytest.approx([event.clock for event in last.events], abs=1e-2)


def test_a_resumed_run_goes_on_with_its_history(run: RunDir) -> None:
    first = live(run)
    second = live(run)
    assert second.state is RunState.FINISHED
    # Beginning again with a high loss, as this training does, is also a health event.
    reported = [event for event in second.events if event.kind is not EventKind.HEALTH]
    assert len(reported) == 2 * len(first.events)
    assert second.progress.elapsed_s >= first.progress.elapsed_s
    replayed = ReplaySession(run).snapshot()
    assert told(replayed) == told(second)
    times = [event.time_s for event in replayed.events]
    assert times == sorted(times)


def test_nothing_of_the_past_can_be_changed(run: RunDir) -> None:
    live(run)
    session = ReplaySession(run)
    before = session.snapshot()
    session.submit(Pause())
    after = session.snapshot()
    assert after.version > before.version
    assert after.events[-1].kind is EventKind.REFUSED
    assert after.events[-1].number == before.events[-1].number + 1
    session.seek(session.cursor)
    assert [event.kind for event in session.snapshot().events].count(EventKind.REFUSED) == 0


def test_a_lost_run_says_so_at_its_end_only(run: RunDir) -> None:
    write(run.journal_path, [StateChanged(RunState.TRAINING), training_steps(1, 20)])
    gone = dict(run.record["process"], start_ticks=1)  # type: ignore[call-overload]  # about_this_process gives a dict
    run.update(process=gone)
    session = ReplaySession(run)
    assert session.snapshot().failure is not None
    session.seek(10)
    assert session.snapshot().failure is None
    assert session.snapshot().state is RunState.TRAINING


def test_following_sees_what_is_written_meanwhile(run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bsmon.session.replay._LOOK_EVERY_S", 0.01)
    writer = JournalWriter(run.journal_path, BEGAN, "tried")
    writer.write(1.0, [training_steps(1, 5)])
    session = FollowSession(run)
    assert session.snapshot().progress.step == 5
    assert "View only" in session.snapshot().events[-1].text
    writer.write(2.0, [training_steps(6, 5), StateChanged(RunState.FINISHED)])
    for _ in range(2000):
        if session.snapshot().state.ended:
            break
        session._closing.wait(0.005)
    session.close()
    writer.close()
    assert session.snapshot().progress.step == 10


# --- places


def write(path: Path, written: list[Happening]) -> None:
    writer = JournalWriter(path, BEGAN, "tried")
    for second, happening in enumerate(written, start=1):
        writer.write(float(second), [happening])
    writer.close()


@st.composite
def courses(draw: st.DrawFn) -> list[Happening]:
    """A run: updates with changes, measurements and going back between them."""
    made: list[Happening] = [PlanSet(BatchState(32, 32, 1, 1e-3))]
    step = 1
    for _ in range(draw(st.integers(1, 12))):
        match draw(st.integers(0, 5)):
            case 0:
                made.append(PlanSet(BatchState(draw(st.sampled_from([16, 32, 64])), 16, 1, 1e-3)))
            case 1:
                made.append(Noted(EventKind.HEALTH, Level.INFO, f"at {step}", step, {}))
            case 2:
                made.append(Measured(GradientStats(step, float(step))))
            case 3:
                step = draw(st.integers(1, step))
                made.append(Rewound(step - 1))
            case _:
                count = draw(st.integers(1, 30))
                made.append(training_steps(step, count))
                step += count
    return made


@settings(max_examples=60, deadline=None)
@given(courses(), st.lists(st.floats(0, 1), max_size=6))
def test_every_place_looks_the_same_however_it_was_reached(
    tmp_path_factory: pytest.TempPathFactory, course: list[Happening], visits: list[float]
) -> None:
    path = tmp_path_factory.mktemp("places") / "journal.jsonl"
    write(path, course)
    travelled = Playback(path, RunInfo("tried"))
    travelled._spacing = 300  # many places to start from
    travelled.play()
    total = sum(len(item.records) for item in course if isinstance(item, StepsMade))
    assert travelled.total == total
    for visit in visits:
        travelled.seek(round(visit * total))
        straight = Playback(path, RunInfo("tried"))
        straight.total = total
        straight.seek(round(visit * total))
        assert travelled.updates == straight.updates == round(visit * total)
        assert seen(travelled.record.freeze()) == seen(straight.record.freeze())


@settings(max_examples=60, deadline=None)
@given(st.lists(happenings(), max_size=6))
def test_no_happenings_make_a_replay_fail(tmp_path_factory: pytest.TempPathFactory, course: list[Happening]) -> None:
    path = tmp_path_factory.mktemp("wild") / "journal.jsonl"
    write(path, course)
    playback = Playback(path, RunInfo("tried"))
    playback.play()
    playback.record.freeze()
    playback.seek(playback.total // 2)
    playback.record.freeze()
