"""Updates column by column: a run of a million is read, added up and drawn without making a record of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, overload

from bsmon.core.records import Step


class Columns(NamedTuple):
    """The fields of `Step`, each as a sequence over the updates; all of one length."""

    step: Sequence[int]
    epoch: Sequence[int]
    samples: Sequence[int]
    batch_size: Sequence[int]
    micro_batch_size: Sequence[int]
    learning_rate: Sequence[float]
    loss: Sequence[float | None]
    time_s: Sequence[float]
    duration_s: Sequence[float]
    data_wait_s: Sequence[float]


class Steps(Sequence[Step]):
    """Updates that are kept as columns; a `Step` is made when one is asked for."""

    __slots__ = ("columns",)
    __hash__ = None  # type: ignore[assignment]  # equal to lists, which have none either

    def __init__(self, columns: Columns) -> None:
        self.columns = columns

    def __len__(self) -> int:
        return len(self.columns.step)

    @overload
    def __getitem__(self, place: int) -> Step: ...
    @overload
    def __getitem__(self, place: slice) -> Steps: ...
    def __getitem__(self, place: int | slice) -> Step | Steps:
        taken = [column[place] for column in self.columns]
        return Steps(Columns._make(taken)) if isinstance(place, slice) else Step._make(taken)

    def __iter__(self) -> Iterator[Step]:
        return map(Step._make, zip(*self.columns, strict=True))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and len(self) == len(other) and all(map(Step.__eq__, self, other))


def in_columns(records: Sequence[Step]) -> Columns:
    """The columns of these updates, which must not be empty."""
    return records.columns if isinstance(records, Steps) else Columns._make(zip(*records, strict=True))
