"""Every sample of every epoch reaches exactly one update, whatever happens to the run."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from bsmon.core.commands import ScaleBatchSize, SetBatchSize, SetMicroBatchSize, Undo
from tests.unit.engine.harness import Due, pause
from tests.unit.engine.histories import History, check, histories, live

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
        samples = chance.randrange(200, 400)
        commands: list[Due] = [(step, SetBatchSize(chance.randrange(1, 9))) for step in range(400)]
        history = History(
            samples,
            4,
            chance.choice(["rows", "items", "weighted"]),
            epochs=3,
            drop_last=chance.random() < 0.5,
            commands=[due if chance.random() < 0.9 else (due[0], Undo(chance.random() < 0.1)) for due in commands],
            out_of_memory=[(chance.randrange(1, 200), chance.randrange(2)) for _ in range(3)],
            stops_at=chance.randrange(100),
        )
        with tempfile.TemporaryDirectory() as folder:
            life = live(history, Path(folder))
        check(history, life)
        changes += min(400, len(life.made))
