"""Happenings of every kind, as hypothesis draws them and as a short run has them."""

from __future__ import annotations

import math
from typing import get_args

from hypothesis import strategies as st

from bsmon.core.gradients import Measurement
from bsmon.core.happenings import Happening, Measured, StepsMade
from bsmon.core.records import Step

_WHOLE = st.integers(0, 2**62)
_TIME = st.floats(0, 1e6)
_ANY_FLOAT = st.floats()
_NUMBER = st.floats(allow_nan=False, allow_infinity=False)


@st.composite
def steps(draw: st.DrawFn) -> StepsMade:
    """Steps as the engine makes them, or with anything in their columns."""
    count = draw(st.integers(1, 6))
    if draw(st.booleans()):
        first, batch, seen = draw(_WHOLE), draw(st.integers(1, 10**6)), draw(_WHOLE)
        numbers = [(first + i, seen + i * batch, batch) for i in range(count)]
    else:
        numbers = [(draw(_WHOLE), draw(_WHOLE), draw(_WHOLE)) for _ in range(count)]
    return StepsMade(
        [
            Step(
                step,
                draw(_WHOLE),
                samples,
                size,
                draw(_WHOLE),
                draw(_NUMBER),
                draw(st.none() | _ANY_FLOAT),
                draw(_TIME),
                draw(_TIME),
                draw(_TIME),
            )
            for step, samples, size in numbers
        ]
    )


def happenings() -> st.SearchStrategy[Happening]:
    """Any happening; every kind of measurement and every kind of line."""
    measured = st.one_of([st.builds(Measured, st.from_type(kind)) for kind in get_args(Measurement)])
    others = [st.from_type(kind) for kind in get_args(Happening) if kind not in (StepsMade, Measured)]
    return st.one_of(steps(), measured, *others)


def training_steps(first: int, count: int, batch_size: int = 32) -> StepsMade:
    """Updates `first`.. of a run whose loss falls."""
    return StepsMade(
        [
            Step(
                step,
                1 + step * batch_size // 1000,
                step * batch_size,
                batch_size,
                batch_size,
                1e-3,
                round(2.0 * math.exp(-step / 50), 6),
                step * 0.01,
                0.01,
                0.001,
            )
            for step in range(first, first + count)
        ]
    )
