"""Where the time goes: the screen of a run and that of its recording show the same."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from bsmon.config.schema import Config
from bsmon.core.happenings import Accounted
from bsmon.core.snapshot import MeasuredSize, RunInfo, RunState
from bsmon.session.accounts import AccountNews, data_wait_share, joined
from bsmon.session.desk import AdvisorDesk
from bsmon.session.inbox import Inbox
from bsmon.session.instruments import Instruments
from bsmon.session.journaling import JournalSink
from bsmon.session.live import LiveSession
from bsmon.session.mailbox import CommandMailbox
from bsmon.session.pace import Pace
from bsmon.session.playback import Playback
from tests.unit.session.test_replay import NoSampler, config
from tests.unit.store.happenings import training_steps

SHARES = {"forward": 0.25, "backward": 0.5}
SIZE = MeasuredSize(32, 0.01, 2.0, 64.0)


@pytest.mark.parametrize(
    ("next_account", "news"),
    [
        pytest.param(Accounted(SHARES, 0.02, (SIZE,)), None, id="the-same"),
        pytest.param(Accounted(SHARES, 0.0200001, (SIZE,)), None, id="nothing-that-is-seen"),
        pytest.param(Accounted(SHARES, 0.03, (SIZE,)), Accounted(SHARES, 0.03), id="cost"),
        pytest.param(
            Accounted({"forward": 0.25678}, 0.02, (SIZE,)), Accounted({"forward": 0.257}, 0.02), id="shares, rounded"
        ),
        pytest.param(
            Accounted(SHARES, 0.02, (SIZE, MeasuredSize(64, 0.0123456))),
            Accounted(SHARES, 0.02, (MeasuredSize(64, 0.0123),)),
            id="a-new-size",
        ),
        pytest.param(
            Accounted(SHARES, 0.02, (MeasuredSize(32, 0.01, float("nan"), 64.0),)),
            Accounted(SHARES, 0.02, (MeasuredSize(32, 0.01, None, 64.0),)),
            id="what-is-no-number",
        ),
        pytest.param(Accounted(), Accounted(), id="no-more-instruments"),
    ],
)
def test_only_what_changed_is_written(next_account: Accounted, news: Accounted | None) -> None:
    written = AccountNews()
    assert written.of(Accounted(SHARES, 0.02, (SIZE,))) == Accounted(SHARES, 0.02, (SIZE,))
    assert written.of(next_account) == news


def test_sizes_that_are_not_named_stand() -> None:
    other = MeasuredSize(16, 0.02)
    assert joined(Accounted(SHARES, 0.1, (SIZE,)), Accounted(sizes=(other,))) == Accounted(sizes=(other, SIZE))


@dataclass
class Probes:
    wants_layers: bool = False
    cost_share: float | None = 0.0175
    failure: str = ""
    noise_reason: str = ""


def train(config: Config, observer: Inbox, mailbox: CommandMailbox, desk: AdvisorDesk) -> None:
    """A few steps with instruments beside them."""
    observer.instruments(Instruments("cpu", None, lambda: {"forward": 0.123456, "backward": 0.6}, Probes()))
    observer.state(RunState.TRAINING)
    observer.steps(training_steps(1, 30).records)
    observer.state(RunState.FINISHED)


def test_a_recording_has_the_account_of_the_run(tmp_path: Path) -> None:
    journal = tmp_path / "journal.jsonl"
    session = LiveSession(config(), train, lambda _: NoSampler(), journal=JournalSink(journal))
    session.start()
    assert session.ended.wait(20)
    lived, playback = session.snapshot(), Playback(journal, RunInfo("again"))
    playback.play()
    replayed = playback.record.freeze()
    assert lived.progress.time_shares == {"forward": 0.123456, "backward": 0.6}
    assert replayed.progress.time_shares == {"forward": 0.123, "backward": 0.6}
    assert (lived.progress.probes_cost_share, replayed.progress.probes_cost_share) == (0.0175, 0.018)
    assert [size.step_s for size in replayed.sizes] == [size.step_s for size in lived.sizes]


@pytest.mark.parametrize(
    ("account", "share"),
    [(Accounted({"data_wait": 0.4, "forward": 0.6}), 0.4), (Accounted({"data_wait": 0.0}), 0.0), (Accounted(), 0.25)],
    ids=["the timer's", "a timer that saw none", "the host's until there is one"],
)
def test_one_data_wait_for_screen_and_advisor(account: Accounted, share: float) -> None:
    pace = Pace()
    pace.add([step._replace(duration_s=0.04, data_wait_s=0.01) for step in training_steps(1, 3).records])
    assert data_wait_share(account, pace) == pytest.approx(share)
