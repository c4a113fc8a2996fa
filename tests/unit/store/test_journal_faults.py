"""The journal when its process is killed, or its disk is full."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bsmon.core.happenings import Moment, StepsMade
from bsmon.store.journal_reader import JournalReader
from bsmon.store.journal_writer import JournalWriter
from tests.unit.store.happenings import training_steps

ROOT = Path(__file__).resolve().parents[3]
CHILD = Path(__file__).with_name("journal_child.py")


def start(*arguments: object) -> subprocess.Popen[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, str(CHILD), *map(str, arguments)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


def updates_in(path: Path) -> tuple[list[int], int]:
    reader = JournalReader(path)
    found = [entry.happening for entry in reader.read()]
    return [step.step for made in found if isinstance(made, StepsMade) for step in made.records], reader.damaged


@pytest.mark.parametrize("batches", [1, 20, 300])
def test_a_killed_writer_loses_nothing_that_was_handed_over(tmp_path: Path, batches: int) -> None:
    path = tmp_path / "journal.jsonl"
    with start(path) as child:
        assert child.stdout is not None
        handed_over = 0
        for _ in range(batches):
            handed_over = int(child.stdout.readline())
        child.send_signal(signal.SIGKILL)
    updates, damaged = updates_in(path)
    assert damaged == 0
    assert len(updates) >= handed_over
    assert updates == list(range(1, len(updates) + 1))


@pytest.mark.parametrize("size", [0, 1, 50, 3000, 3001, 3002, 20_000])
def test_a_full_disk_is_told_and_loses_nothing_once_there_is_room(tmp_path: Path, size: int) -> None:
    path = tmp_path / "journal.jsonl"
    with start(path, size) as child:
        told = child.communicate(timeout=60)[0].splitlines()
    assert "cannot be written: File too large; training goes on" in told[0]
    assert told[1:] == ["the journal is written again, nothing is lost"]
    updates, damaged = updates_in(path)
    assert updates == list(range(1, 2001))
    assert damaged <= 1  # the line that was cut short


def test_a_disk_that_stays_full_costs_no_memory_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bsmon.store.journal_writer._MOST_WAITING", 10_000)
    missing = tmp_path / "not there" / "journal.jsonl"
    writer = JournalWriter(missing, Moment(0.0, 0.0), "a run")
    for number in range(50):
        writer.write(float(number), [training_steps(1 + 50 * number, 50)])
    assert writer._waiting_bytes <= 10_000
    missing.parent.mkdir()
    writer.close()
    assert "entries are lost" in writer.news()[-1]
    updates, damaged = updates_in(missing)
    assert damaged == 0
    assert updates == list(range(updates[0], 2501))
