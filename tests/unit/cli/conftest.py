"""Recorded runs, and a way to call a command over them."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bsmon.cli import bsmon
from bsmon.core.happenings import (
    Moment,
)
from bsmon.store.journal_writer import JournalWriter
from bsmon.store.provenance import about_this_process
from bsmon.store.run_dir import RunDir
from tests.unit.cli.recorded_runs import Bsmon, Run, course


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Make a run that has ended, in the current folder's runs/."""
    monkeypatch.chdir(tmp_path)

    def run(name: str = "tried", status: str = "failed", text: str = "words") -> RunDir:
        made = RunDir.create(Path("runs"), name, datetime.now(UTC), config=b"", about=about_this_process())
        made.update(status=status)
        writer = JournalWriter(made.journal_path, Moment(0.0, time.time()), text)
        writer.write(1.0, course(text))
        writer.close()
        return made

    return run


@pytest.fixture
def call(capfd: pytest.CaptureFixture[str]) -> Bsmon:
    """Run a command; what it printed on both streams."""

    def command(*arguments: str, status: int | None = None) -> str:
        capfd.readouterr()
        assert (bsmon.main(list(arguments), standalone_mode=False) or 0) == (status or 0)
        captured = capfd.readouterr()
        return captured.out + captured.err

    return command
