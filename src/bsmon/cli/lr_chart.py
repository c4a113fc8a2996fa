"""What `bsmon lr-find` prints: a chart that lies on its side, and a table of suggestions. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from bsmon.trials.lr_find import RangeTest

BAR = 44
ROWS_A_DECADE = 3


def report(tests: Sequence[RangeTest], steps: int) -> Iterator[str]:
    """All lines: a chart for each batch size, then the suggestions side by side."""
    for test in tests:
        yield f"Batch size {test.batch_size}: loss (smoothed) as the learning rate rises"
        yield from chart(test)
        yield _end(test, steps)
        yield ""
    yield from suggestions(tests)


def chart(test: RangeTest) -> Iterator[str]:
    """One bar for each third of a decade of the learning rate, from the lowest smoothed loss to the first.

    Above one and a half times the first loss a bar is cut off and ends in ">".
    """
    groups = _groups(test)
    finite = [loss for _, _, loss in groups if math.isfinite(loss)]
    if not finite:
        return
    low, high = min(finite), min(max(finite), 1.5 * test.losses[0])
    for first, last, loss in groups:
        mark = ""
        if test.suggestion is not None and first <= test.suggestion <= last:
            mark = "  <- falls fastest"
        yield f"  {first:8.2g}  {_bar(loss, low, high):{BAR + 1}}  {loss:8.4g}{mark}"


def _groups(test: RangeTest) -> list[tuple[float, float, float]]:
    """(first learning rate, last one, last smoothed loss) of each third of a decade."""
    groups: dict[int, tuple[float, float, float]] = {}
    for rate, loss in zip(test.learning_rates, test.smoothed(), strict=True):
        key = math.floor(ROWS_A_DECADE * math.log10(rate) + 1e-9)
        first = groups[key][0] if key in groups else rate
        groups[key] = (first, rate, loss)
    return list(groups.values())


def _bar(loss: float, low: float, high: float) -> str:
    if not math.isfinite(loss) or loss > high:
        return "#" * BAR + ">"
    return "#" * max(1, round(BAR * (loss - low) / (high - low))) if high > low else "#"


def _end(test: RangeTest, steps: int) -> str:
    if not test.exploded:
        return f"  ended after {steps} updates, the loss did not explode"
    return f"  stopped at {test.learning_rates[-1]:.2g}: the loss exceeded ten times the first, or was no number"


def suggestions(tests: Sequence[RangeTest]) -> Iterator[str]:
    """The suggested learning rates, and how they change with the batch size beside the linear rule (C, part 10)."""
    yield f"{'batch':>6}  {'suggested LR':>12}  {'linear rule':>11}"
    base = next((test for test in tests if test.suggestion is not None), None)
    for test in tests:
        linear = None
        if base is not None and base.suggestion is not None:
            linear = base.suggestion * test.batch_size / base.batch_size
        yield f"{test.batch_size:>6}  {_rate(test.suggestion):>12}  {_rate(linear):>11}"
    yield "Suggested is where the loss falls fastest (C part 10). One test is noisy: take it to a factor of two or so."


def _rate(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.2g}"
