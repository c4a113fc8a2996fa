"""Every sample of every epoch reaches exactly one update, whatever happens to the run."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from bsmon.core.commands import ScaleBatchSize, SetBatchSize, SetMicroBatchSize, Undo
from tests.unit.engine.harness import Due, pause
from tests.unit.engine.histories import History, check, histories, live, random_history

QUICK = settings(max_examples=80, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@QUICK
@given(history=histories())
def test_no_sample_is_lost_or_repeated(history: History) -> None:
    with tempfile.TemporaryDirectory() as folder:
        check(history, live(history, Path(folder)))


CHANGES: list[Due] = [
    (2, SetBatchSize(7)),
    *pause(3),
    (4, SetMicroBatchSize(2)),
    (5, ScaleBatchSize(2.0)),
    (6, Undo()),
    (8, SetBatchSize(3)),
]


@pytest.mark.parametrize("drop_last", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_nor_with_worker_processes(drop_last: bool, tmp_path: Path) -> None:
    history = History(30, 5, "items", drop_last=drop_last, workers=2, commands=CHANGES, out_of_memory=[(3, 0)])
    life = live(history, tmp_path)
    assert life.out_of_memory == 1
    check(history, life)


def test_a_history_really_does_what_it_says(tmp_path: Path) -> None:
    history = History(30, 5, "items", epochs=3, commands=CHANGES, out_of_memory=[(3, 0), (9, 0)], stops_at=7, dies_at=8)
    life = live(history, tmp_path)
    check(history, life)
    assert life.out_of_memory == 2
    assert {len(update.samples) for update in life.made.values()} >= {5, 7, 3}


@pytest.mark.slow
def test_ten_thousand_random_changes() -> None:
    chance = random.Random(1)
    changes = 0
    while changes < 10_000:
        history = random_history(chance, drop_last=chance.random() < 0.5)
        with tempfile.TemporaryDirectory() as folder:
            life = live(history, Path(folder))
        check(history, life)
        changes += sum(1 for step, _ in history.commands if step <= len(life.made))
