"""A run as a table: one row an update, with what was measured of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

from bsmon.core.gradients import NoiseSample
from bsmon.core.happenings import Evaluated, Measured, StepsMade
from bsmon.core.records import GradientStats, Step
from bsmon.store.journal_reader import JournalReader

Value = int | float | None

_GRADIENTS = {
    field.name: "grad_norm" if field.name == "norm" else f"grad_{field.name}"
    for field in dataclasses.fields(GradientStats)
    if field.name != "step"
}
_EXTRA = (
    *_GRADIENTS.values(),
    "noise_variance",
    "noise_squared_norm",
    "validation_loss",
    "validation_accuracy",
    "train_loss",
    "train_accuracy",
)

INTEGERS = frozenset(("step", "epoch", "samples", "batch_size", "micro_batch_size", "grad_nonfinite"))
COLUMNS = (*Step._fields, *_EXTRA)
"""Names of the table's columns; units as in `core.records`. What was not measured at an update is None."""


class StepTable:
    """The table of one journal, read twice: first what was measured, then the updates one by one.

    Updates stand in the order in which they were made: where training went back, a step number comes again.
    """

    def __init__(self, journal: Path) -> None:
        self._journal = journal
        self.clock = 0.0  # seconds since 1970 when the run's time was 0

    def batches(self) -> Iterator[list[tuple[Value, ...]]]:
        """Rows, many at a time, each as long as COLUMNS. Raises BadInput where the journal cannot be read."""
        measured = self._measured()
        nothing = (None,) * len(_EXTRA)
        for entry in JournalReader(self._journal).read():
            self.clock = self.clock or entry.moment.clock - entry.moment.time_s
            if isinstance(entry.happening, StepsMade):
                yield [
                    (*step, *(_extra(found) if (found := measured.get(step.step)) else nothing))
                    for step in entry.happening.records
                ]

    def _measured(self) -> dict[int, dict[str, Value]]:
        found: dict[int, dict[str, Value]] = {}
        for entry in JournalReader(self._journal).read():
            happening = entry.happening
            if isinstance(happening, Measured):
                measurement = happening.measurement
                if isinstance(measurement, GradientStats):
                    values = {column: getattr(measurement, name) for name, column in _GRADIENTS.items()}
                    found.setdefault(measurement.step, {}).update(values)
                elif isinstance(measurement, NoiseSample):
                    noise = {
                        "noise_variance": measurement.variance,
                        "noise_squared_norm": measurement.squared_norm,
                    }
                    found.setdefault(measurement.step, {}).update(noise)
            elif isinstance(happening, Evaluated):
                result = happening.result
                found.setdefault(result.step, {}).update(
                    validation_loss=result.loss,
                    validation_accuracy=result.accuracy,
                    train_loss=result.train_loss,
                    train_accuracy=result.train_accuracy,
                )
        return found


def _extra(found: dict[str, Value]) -> tuple[Value, ...]:
    return tuple(found.get(name) for name in _EXTRA)
