"""The interventions of a recorded run, as commands for a fresh one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bsmon.core.commands import (
    Command,
    Pause,
    Release,
    Scripted,
    SetBatchSize,
    SetLearningRate,
    SetMicroBatchSize,
    Source,
    Undo,
)
from bsmon.core.happenings import Happening, Noted, Rewound
from bsmon.core.records import EventKind, Level
from bsmon.engine.script import ScriptedMailbox
from bsmon.session.mailbox import CommandMailbox
from bsmon.store.script import script_of
from tests.unit.store.happenings import training_steps


def noted(kind: EventKind, step: int, **data: float | int | str | None) -> Noted:
    return Noted(kind, Level.GOOD, "", step, data)


def batch(step: int, old: int, new: int, **data: float | int | str | None) -> Noted:
    return noted(EventKind.BATCH, step, **{"old": old, "new": new, "learning_rate": 0.01, "source": "person", **data})


def made(size: int, source: Source = Source.PERSON) -> SetBatchSize:
    return SetBatchSize(size, learning_rate=0.01, source=source, repeated=True)


UNDO = {"source": "engine", "cause": "undo"}


@pytest.mark.parametrize(
    ("course", "script"),
    [
        pytest.param([batch(5, 32, 64)], [Scripted(5, made(64))], id="batch"),
        pytest.param(
            [batch(5, 32, 64, source="advisor")],
            [Scripted(5, made(64, Source.ADVISOR))],
            id="by-the-advisor",
        ),
        pytest.param([batch(5, 32, 32, micro_batch_size=8)], [Scripted(5, SetMicroBatchSize(8))], id="micro-batch"),
        pytest.param(
            [noted(EventKind.LEARNING_RATE, 9, new=0.5, source="person")],
            [Scripted(9, SetLearningRate(0.5))],
            id="rate",
        ),
        pytest.param(
            [batch(5, 32, 64), batch(8, 64, 32, **UNDO, weights=0, asked_at=8)],
            [Scripted(5, made(64)), Scripted(8, Undo())],
            id="undo",
        ),
        pytest.param(
            [batch(5, 32, 64), Rewound(5), batch(5, 64, 32, **UNDO, weights=1, asked_at=8), training_steps(6, 3)],
            [Scripted(5, made(64)), Scripted(8, Undo(weights=True))],
            id="undo-with-weights",
        ),
        pytest.param(
            [batch(5, 32, 64), batch(60, 64, 32, source="engine", cause="probation", weights=0, asked_at=60)],
            [Scripted(5, made(64)), Scripted(60, Undo())],
            id="reverted-by-the-engine-itself",
        ),
        pytest.param(
            [
                batch(5, 32, 64),
                Rewound(5),
                batch(5, 64, 32, source="engine", cause="probation", weights=1, asked_at=9),
                training_steps(6, 3),
            ],
            [Scripted(5, made(64)), Scripted(9, Undo(weights=True))],
            id="reverted-with-the-weights",
        ),
        pytest.param(
            [batch(5, 32, 64, base_learning_rate=0.02)],
            [Scripted(5, replace(made(64), base_learning_rate=0.02))],
            id="the-schedules-rate",
        ),
        pytest.param([noted(EventKind.RUN, 7, cause="release")], [Scripted(7, Release())], id="released"),
        pytest.param(
            [batch(5, 32, 64, source="engine")],
            [],
            id="by-the-engine-for-memory",
        ),
        pytest.param(
            [batch(5, 32, 64), batch(25, 64, 128), Rewound(20), training_steps(21, 3)],
            [Scripted(5, made(64))],
            id="what-a-crash-took-back",
        ),
        pytest.param([noted(EventKind.LEARNING_RATE, 9, new=float("nan"), source="person")], [], id="no-rate"),
        pytest.param([noted(EventKind.RUN, 9), training_steps(1, 3)], [], id="nothing"),
    ],
)
def test_what_is_repeated(course: list[Happening], script: list[Scripted]) -> None:
    assert list(script_of(course)) == script


def test_the_script_comes_when_it_is_due_and_the_person_is_heard_besides() -> None:
    step, person = 0, CommandMailbox()
    script = (Scripted(2, SetBatchSize(64)), Scripted(2, SetLearningRate(0.1)), Scripted(5, Undo()))
    mailbox = ScriptedMailbox(person, script, lambda: step)
    taken: list[tuple[int, Command]] = []
    person.put(Pause())
    for step in range(7):
        while (command := mailbox.take()) is not None:
            taken.append((step, command))
    assert taken == [(0, Pause()), (2, SetBatchSize(64)), (2, SetLearningRate(0.1)), (5, Undo())]
