"""A snapshot as what changed since the one before: a few kilobytes where the whole has hundreds."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from typing import Any

import msgspec

from bsmon.core.records import Event
from bsmon.core.snapshot import Series, Snapshot
from bsmon.wire.frames import BadFrame

Bins = tuple[float | None, ...]
_FIELDS = tuple(field.name for field in dataclasses.fields(Snapshot) if field.name not in ("series", "events"))
_HINTS = typing.get_type_hints(Snapshot)


class SeriesChange(msgspec.Struct, frozen=True, array_like=True):
    """The bins of a series from `start` on; those before it stand as they were."""

    start: int
    width: float
    low: Bins
    high: Bins
    mean: Bins
    last: float | None
    unit: str


class _Lists(msgspec.Struct, frozen=True):
    """What grows at its end. `first_event`: the number of the oldest event that is still kept."""

    series: dict[str, SeriesChange]
    series_gone: tuple[str, ...]
    first_event: int
    new_events: tuple[Event, ...]


# Made from Snapshot itself, so that no field of it can be forgotten; UNSET is "as before" and takes no bytes.
_Changes = msgspec.defstruct(
    "_Changes",
    [(name, _HINTS[name] | msgspec.UnsetType, msgspec.UNSET) for name in _FIELDS],
    bases=(_Lists,),
    frozen=True,
    kw_only=True,
)
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Changes)


def encode_changes(old: Snapshot | None, new: Snapshot) -> bytes:
    """What makes `new` of `old`; the whole of it where there is no `old`."""
    changed = {name: getattr(new, name) for name in _FIELDS if old is None or _differs(old, new, name)}
    seen = old.events[-1].number if old is not None and old.events else 0
    before = old.series if old is not None else {}
    return _encoder.encode(
        _Changes(
            series={
                name: _series_change(before.get(name), series)
                for name, series in new.series.items()
                if series is not before.get(name)
            },
            series_gone=tuple(name for name in before if name not in new.series),
            first_event=new.events[0].number if new.events else 0,
            new_events=tuple(event for event in new.events if event.number > seen),
            **changed,
        )
    )


def apply_changes(old: Snapshot | None, data: bytes | msgspec.Raw) -> Snapshot:
    """The snapshot that `encode_changes` was given as `new`. Raises BadFrame."""
    try:
        changes: Any = _decoder.decode(data)
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadFrame(f"not a state: {error}") from None
    given: dict[str, Any] = {name: value for name in _FIELDS if (value := getattr(changes, name)) is not msgspec.UNSET}
    given |= {"series": _series(old, changes), "events": _events(old, changes)}
    try:
        return dataclasses.replace(old, **given) if old is not None else Snapshot(**given)
    except TypeError as error:
        raise BadFrame(f"not a whole state: {error}") from None


def _differs(old: Snapshot, new: Snapshot, name: str) -> bool:
    before, now = getattr(old, name), getattr(new, name)
    return before is not now and bool(before != now)


def _series_change(old: Series | None, new: Series) -> SeriesChange:
    start = _unchanged(old, new) if old is not None else 0
    return SeriesChange(start, new.width, new.low[start:], new.high[start:], new.mean[start:], new.last, new.unit)


def _unchanged(old: Series, new: Series) -> int:
    """How many of the first bins are the same: all but the old last one, or none (merged, or rewound and regrown)."""
    count = max(0, min(len(old.low) - 1, len(new.low)))
    same = old.width == new.width and all(
        before[:count] == now[:count]
        for before, now in ((old.low, new.low), (old.high, new.high), (old.mean, new.mean))
    )
    return count if same else 0


def _series(old: Snapshot | None, changes: _Lists) -> Mapping[str, Series]:
    before = old.series if old is not None else {}
    kept = {name: series for name, series in before.items() if name not in changes.series_gone}
    return {**kept, **{name: _grown(before.get(name), change) for name, change in changes.series.items()}}


def _grown(old: Series | None, change: SeriesChange) -> Series:
    start = change.start
    if start and (old is None or not 0 < start <= len(old.low)):
        raise BadFrame("a state that does not follow from the one before")
    if not len(change.low) == len(change.high) == len(change.mean):
        raise BadFrame("a series whose bins do not match")
    low, high, mean = (old.low[:start], old.high[:start], old.mean[:start]) if old is not None else ((), (), ())
    return Series(change.width, low + change.low, high + change.high, mean + change.mean, change.last, change.unit)


def _events(old: Snapshot | None, changes: _Lists) -> tuple[Event, ...]:
    kept = tuple(event for event in old.events if event.number >= changes.first_event) if old is not None else ()
    return kept + changes.new_events
