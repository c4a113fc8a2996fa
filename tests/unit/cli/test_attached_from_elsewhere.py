"""A run on another machine, seen through a folder that both share: view only, and the screen says so."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bsmon.cli.attached_session import AttachedSession
from bsmon.core.commands import Pause
from bsmon.core.happenings import Moment, StateChanged
from bsmon.core.snapshot import RunState
from bsmon.session import replay
from bsmon.store.journal_writer import JournalWriter
from bsmon.store.provenance import about_this_process
from bsmon.store.run_dir import RunDir
from bsmon.store.runs import Standing, standing
from tests.unit.store.happenings import training_steps

VIEW_ONLY = "View only"


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    """A run that goes on, as far as its files say, on a machine of another name; there is a socket, but not here."""
    about = {**about_this_process(), "host": "elsewhere"}
    made = RunDir.create(tmp_path, "far", datetime.now(UTC), config=b"", about=about)
    made.update(status="training", socket=str(tmp_path / "not-here.sock"))
    return made


@pytest.fixture
def journal(run: RunDir) -> Iterator[JournalWriter]:
    writer = JournalWriter(run.journal_path, Moment(0.0, time.time()), "far")
    writer.write(1.0, [StateChanged(RunState.TRAINING), training_steps(1, 20)])
    yield writer
    writer.close()


def test_it_is_followed_and_cannot_be_changed(
    run: RunDir, journal: JournalWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay, "_LOOK_EVERY_S", 0.01)
    assert standing(run) is Standing.LIVE  # its journal is fresh, and that is all that can be known here
    session = AttachedSession(run, control=True)
    try:
        assert not session.may_control
        assert any("another machine" in notice and "view only" in notice for notice in session.notices())
        assert session.snapshot().progress.step == 20
        assert VIEW_ONLY in session.snapshot().events[-1].text
        journal.write(2.0, [training_steps(21, 20)])
        deadline = time.monotonic() + 20
        while session.snapshot().progress.step < 40 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert session.snapshot().progress.step == 40
        session.submit(Pause())
        assert [VIEW_ONLY in event.text for event in session.snapshot().events[-2:]] == [True, True]
    finally:
        session.close()


def test_here_it_would_be_lost(run: RunDir, journal: JournalWriter) -> None:
    """The control: the same files of a process of this machine that is gone."""
    here = about_this_process()
    process = here["process"]
    assert isinstance(process, dict)
    run.update(host=here["host"], process={**process, "start_ticks": 1})
    assert standing(run) is Standing.LOST
