"""A run with interventions, and a fresh run that repeats them from its journal: the same updates, to the last digit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from unittest.mock import patch

import msgspec

from bsmon.config.schema import Schedule
from bsmon.core.commands import Command, Release, Scripted, SetBatchSize, SetLearningRate, Source, Undo
from bsmon.core.happenings import Noted, Rewound, StepsMade
from bsmon.core.records import EventKind, Step
from bsmon.core.snapshot import RunState
from bsmon.session.journaling import JournalSink
from bsmon.session.live import LiveSession
from bsmon.session.training import Training
from bsmon.store.journal_reader import JournalReader
from bsmon.store.script import read_script
from tests.unit.measurements.real_run import config_for
from tests.unit.measurements.test_snapshot import NoSampler

# By hand, by the advisor, one that blows the loss up and is taken back by the engine, and two taken back by hand.
# Losses are read up to 256 updates late and judged over 50, and a change that comes before ends the judgement: so the
# first two have a long way before and behind them.
INTERVENTIONS: Sequence[tuple[int, Command]] = (
    (300, SetBatchSize(48)),
    (650, SetBatchSize(16, learning_rate=1e4)),
    (1000, Release()),
    (1010, SetBatchSize(24, source=Source.ADVISOR)),
    (1020, SetLearningRate(0.02)),
    (1090, SetBatchSize(64)),
    (1100, Undo(weights=True)),
    (1130, SetBatchSize(40)),
    (1132, Undo()),
)


def train(folder: Path, script: Sequence[Scripted]) -> Path:
    """Train to the end; the journal."""
    plain = config_for(epochs=550, advisor="advise", telemetry={"noise_scale": False})
    config = msgspec.structs.replace(plain, schedule=Schedule(name="cosine"))
    journal = folder / "journal.jsonl"
    with patch("bsmon.engine.forecast.FAKE_TENSORS", False):
        body = Training(folder / "checkpoints", script=script)
        (folder / "checkpoints").mkdir(parents=True)
        session = LiveSession(config, body, NoSampler, journal=JournalSink(journal))
        session.start()
        assert session.ended.wait(100)
    assert session.snapshot().state is RunState.FINISHED
    return journal


def updates(journal: Path) -> list[Step]:
    """The updates that are part of the run as it ended, without the times that they took."""
    made: list[Step] = []
    for entry in JournalReader(journal).read():
        if isinstance(entry.happening, Rewound):
            made = [step for step in made if step.step <= entry.happening.step]
        elif isinstance(entry.happening, StepsMade):
            made += [step._replace(time_s=0.0, duration_s=0.0, data_wait_s=0.0) for step in entry.happening.records]
    return made


def causes(journal: Path) -> list[object]:
    """Why batch changes were taken back."""
    noted = [e.happening for e in JournalReader(journal).read() if isinstance(e.happening, Noted)]
    return [n.data["cause"] for n in noted if n.kind is EventKind.BATCH and "cause" in n.data]


def test_a_run_made_again_is_the_same_run(tmp_path: Path) -> None:
    first = train(tmp_path / "first", [Scripted(step, command) for step, command in INTERVENTIONS])
    assert "probation" in causes(first)  # more than one where the machine was busy: a change that costs speed
    again = train(tmp_path / "again", read_script(first))
    assert causes(again) == ["undo"] * len(causes(first))
    assert {step.batch_size for step in updates(first)} >= {32, 48, 24, 40}
    assert updates(again) == updates(first)
    # The repetition is a run like any other: it can be repeated in its turn.
    assert read_script(again) == read_script(first)
