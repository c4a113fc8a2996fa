"""What a list of runs says of each, read without going through all that its journal holds."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from pathlib import Path

from bsmon.core.files import open_regular
from bsmon.core.happenings import Evaluated, Happening, PlanSet, RunDescribed, StepsMade
from bsmon.core.records import Step
from bsmon.core.snapshot import RunInfo
from bsmon.store.journal_reader import JournalReader
from bsmon.store.run_dir import RunDir
from bsmon.store.runs import Standing, standing

_CHUNK = 4 << 20
_LONGEST_LINE = 4 << 20
_LAST_OF = (b'\n["s",', b'\n["v",', b'\n["i",')
_ALL_OF = b'\n["b",'
_MOST_PLANS = 1000


@dataclass(frozen=True, slots=True)
class RunSummary:
    """One run in a list. Text is not safe for a terminal yet."""

    name: str  # of its folder
    folder: Path
    standing: Standing
    started: float | None  # seconds since 1970
    epoch: int | None = None
    epochs: int | None = None
    step: int | None = None
    loss: float | None = None  # the mean of the last second's steps
    validation_loss: float | None = None
    batch_sizes: tuple[int, ...] = ()  # one after the other, as the run had them

    @property
    def age_s(self) -> float | None:
        """Seconds since the run was started."""
        return None if self.started is None else max(0.0, time.time() - self.started)


def summarise(run: RunDir) -> RunSummary:
    """Summarise a run; what its files do not say is None."""
    started = _started(run.record)
    found = _found(run.journal_path)
    step, loss = _last_step(found)
    info = next((happening.info for happening in found if isinstance(happening, RunDescribed)), RunInfo(""))
    evaluation = next((happening.result for happening in found if isinstance(happening, Evaluated)), None)
    sizes = [happening.state.batch_size for happening in found if isinstance(happening, PlanSet)]
    return RunSummary(
        run.path.name,
        run.path,
        standing(run),
        started,
        epoch=step.epoch if step else None,
        epochs=info.epochs,
        step=step.step if step else None,
        loss=loss,
        validation_loss=evaluation.loss if evaluation else None,
        batch_sizes=tuple(size for size, _ in groupby(sizes)),
    )


def _last_step(found: list[Happening]) -> tuple[Step | None, float | None]:
    steps = next((happening.records for happening in found if isinstance(happening, StepsMade)), ())
    losses = [step.loss for step in steps if step.loss is not None and math.isfinite(step.loss)]
    return (steps[-1] if steps else None), (math.fsum(losses) / len(losses) if losses else None)


def _started(record: Mapping[str, object]) -> float | None:
    try:
        return datetime.fromisoformat(str(record.get("started"))).timestamp()
    except (ValueError, OverflowError):
        return None


def _found(path: Path) -> list[Happening]:
    """The batch plans of a journal in order, and the last of its steps, evaluations and descriptions."""
    try:
        descriptor = open_regular(path)
    except OSError:
        return []
    try:
        plans, last = _places(descriptor)
        reader = JournalReader(path)
        entries = [reader.parse(_line(descriptor, place)) for place in [*plans, *last]]
    finally:
        os.close(descriptor)
    return [entry.happening for entry in entries if entry is not None]


def _places(descriptor: int) -> tuple[list[int], list[int]]:
    """Where the wanted lines begin. Looking for their first bytes is ten times as quick as reading all lines."""
    plans: list[int] = []
    last: dict[bytes, int] = {}
    offset, overlap = 0, len(_ALL_OF)
    while chunk := os.pread(descriptor, _CHUNK, offset):
        # A line that is still being written does not count.
        chunk = chunk[: chunk.rfind(b"\n") + 1] or chunk
        for mark in _LAST_OF:
            if (at := chunk.rfind(mark)) >= 0:
                last[mark] = offset + at + 1
        at = chunk.find(_ALL_OF)
        while at >= 0 and len(plans) < _MOST_PLANS:
            plans.append(offset + at + 1)
            at = chunk.find(_ALL_OF, at + 1)
        if len(chunk) <= overlap:
            break
        offset += len(chunk) - overlap
    return sorted(set(plans)), list(last.values())


def _line(descriptor: int, place: int) -> bytes:
    size = 1 << 14
    while b"\n" not in (found := os.pread(descriptor, size, place)) and len(found) == size and size < _LONGEST_LINE:
        size *= 4
    return found.split(b"\n", 1)[0]
