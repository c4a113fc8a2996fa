"""The interventions of a recorded run as commands, so that a fresh run can be changed in the same way."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

from bsmon.core.commands import (
    Command,
    Release,
    Scripted,
    SetBatchSize,
    SetLearningRate,
    SetMicroBatchSize,
    Source,
    Undo,
)
from bsmon.core.happenings import Happening, Noted, Rewound, StepsMade
from bsmon.core.records import EventKind
from bsmon.store.journal_reader import JournalReader

_ASKED = frozenset((Source.PERSON.value, Source.ADVICE.value, Source.ADVISOR.value))
_TAKEN_BACK = ("undo", "probation")


def read_script(journal: Path) -> tuple[Scripted, ...]:
    """The interventions of a journal that are part of the run as it ended, in order.

    Among them is what the engine took back after probation: its judgement may hang on the time that steps took, and a
    fresh run would judge otherwise. Raises BadInput where the journal cannot be read.
    """
    return script_of(entry.happening for entry in JournalReader(journal).read())


def script_of(happenings: Iterable[Happening]) -> tuple[Scripted, ...]:
    """The same of happenings in order."""
    script: list[Scripted] = []
    back_to: int | None = None
    for happening in happenings:
        if isinstance(happening, Rewound):
            back_to = happening.step
        elif isinstance(happening, Noted):
            if happening.data.get("cause"):
                back_to = None  # an undo, or a revert: what was undone is a part of the run
            made = _scripted(happening)
            script += [made] if made is not None else []
        elif isinstance(happening, StepsMade) and back_to is not None:
            # Training went on from a checkpoint: what was asked for after it was made never took effect.
            script = [item for item in script if item.step < back_to]
            back_to = None
    return tuple(script)


def _scripted(noted: Noted) -> Scripted | None:
    command = _command(noted)
    asked_at = noted.data.get("asked_at")
    return None if command is None else Scripted(asked_at if isinstance(asked_at, int) else noted.step, command)


def _command(noted: Noted) -> Command | None:
    data = noted.data
    if noted.kind is EventKind.BATCH and data.get("cause") in _TAKEN_BACK:
        return Undo(weights=bool(data.get("weights")))
    if data.get("cause") == "release":
        return Release()
    source = data.get("source")
    if source not in _ASKED:
        return None
    asked = Source(str(source))
    if noted.kind is EventKind.LEARNING_RATE:
        rate = _rate(data.get("new"))
        return None if rate is None else SetLearningRate(rate, source=asked)
    if noted.kind is EventKind.BATCH:
        return _batch_command(noted, asked)
    return None


def _batch_command(noted: Noted, asked: Source) -> Command | None:
    old, new, micro = (noted.data.get(key) for key in ("old", "new", "micro_batch_size"))
    if isinstance(new, int) and new != old:
        rate, base = (_rate(noted.data.get(key)) for key in ("learning_rate", "base_learning_rate"))
        return SetBatchSize(new, learning_rate=rate, base_learning_rate=base, source=asked, repeated=True)
    return SetMicroBatchSize(micro, source=asked) if isinstance(micro, int) else None


def _rate(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) and value > 0 else None
