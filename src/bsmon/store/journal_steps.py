"""Steps as a line of columns: about 40 bytes and 2 us a step, and quick to read back by the million."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import TypeVar

import msgspec

from bsmon.core.records import Step
from bsmon.core.step_columns import Columns, Steps, in_columns

STEPS = "s"
PREFIX = f'["{STEPS}",'.encode()

_SEVEN_DIGITS = "%.7g".__mod__
_FOUR_DECIMALS = "%.4f".__mod__
_MOST_STEPS = 1 << 20  # of one line; a line of a real run has a few hundred

Whole = int | list[int]
Number = TypeVar("Number", int, float)


class _Columns(msgspec.Struct, array_like=True):
    kind: str
    time_s: float
    step: Whole  # one number: the first of consecutive ones
    epoch: Whole
    samples: Whole  # one number: the first; each following one is larger by its batch size
    batch_size: Whole
    micro_batch_size: Whole
    learning_rate: float | list[float]
    loss: list[float | str | None]
    moment_s: list[float]
    duration_s: list[float]
    data_wait_s: list[float]


_decode = msgspec.json.Decoder(_Columns).decode


def encode_steps(time_s: float, records: Sequence[Step]) -> bytes:
    """The line of these steps, which must not be empty."""
    step, epoch, samples, batch, micro, rate, loss, moment, duration, wait = in_columns(records)
    columns = (
        f"{time_s:.4f}",
        str(step[0]) if _is_count(step) else _list(map(str, step)),
        _same_or_list(epoch),
        str(samples[0]) if _adds_up(samples, batch) else _list(map(str, samples)),
        _same_or_list(batch),
        _same_or_list(micro),
        _rates(rate),
        _losses(loss),
        _list(map(_FOUR_DECIMALS, moment)),
        _list(map(_SEVEN_DIGITS, duration)),
        _list(map(_SEVEN_DIGITS, wait)),
    )
    return f'["{STEPS}",{",".join(columns)}]\n'.encode()


def decode_steps(line: bytes) -> tuple[float, Steps]:
    """(time in seconds, steps) of a line.

    Raises ValueError (msgspec's errors are such) where the line is damaged.
    """
    columns = _decode(line)
    count = len(columns.loss)
    if not 0 < count <= _MOST_STEPS or not math.isfinite(columns.time_s):
        raise ValueError("no steps, or too many")
    step = range(columns.step, columns.step + count) if isinstance(columns.step, int) else columns.step
    batch = _spread(columns.batch_size, count)
    made = Columns(
        step,
        _spread(columns.epoch, count),
        columns.samples if isinstance(columns.samples, list) else list(_sums(columns.samples, batch)),
        batch,
        _spread(columns.micro_batch_size, count),
        _spread(columns.learning_rate, count),
        _read_losses(columns.loss) if b'"' in line[len(PREFIX) :] else columns.loss,  # type: ignore[arg-type]  # no text
        columns.moment_s,
        columns.duration_s,
        columns.data_wait_s,
    )
    if any(len(column) != count for column in made):
        raise ValueError("columns of different lengths")
    if min(step) < 0 or min(columns.moment_s) < 0:
        raise ValueError("steps before the first")
    return columns.time_s, Steps(made)


def _spread(column: Number | list[Number], count: int) -> list[Number]:
    return column if isinstance(column, list) else [column] * count


def _read_losses(losses: list[float | str | None]) -> list[float | None]:
    return [float(loss) if isinstance(loss, str) else loss for loss in losses]


def _sums(first: int, batch: Sequence[int]) -> Iterable[int]:
    return accumulate(batch[1:], initial=first)


def _is_count(step: Sequence[int]) -> bool:
    return step[-1] - step[0] == len(step) - 1 and list(step) == list(range(step[0], step[-1] + 1))


def _adds_up(samples: Sequence[int], batch: Sequence[int]) -> bool:
    return list(samples) == list(_sums(samples[0], batch))


def _same_or_list(column: Sequence[int]) -> str:
    return str(column[0]) if column.count(column[0]) == len(column) else _list(map(str, column))


def _rates(rates: Sequence[float]) -> str:
    if rates.count(rates[0]) == len(rates):
        return _SEVEN_DIGITS(rates[0])
    return _list(map(_SEVEN_DIGITS, rates))


def _losses(losses: Sequence[float | None]) -> str:
    try:
        text = _list(map(_SEVEN_DIGITS, losses))
    except TypeError:  # a loss that was not read
        return _list(map(_loss, losses))
    # "nan" and "inf" are the only numbers with a letter n.
    return text if "n" not in text else _list(map(_loss, losses))


def _loss(loss: float | None) -> str:
    if loss is None:
        return "null"
    return _SEVEN_DIGITS(loss) if math.isfinite(loss) else f'"{loss!r}"'


def _list(texts: Iterable[str]) -> str:
    return f"[{','.join(texts)}]"
