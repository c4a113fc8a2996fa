"""What `bsmon lr-find` prints: a chart that lies on its side, and a table of suggestions. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bsmon.trials.lr_find import RangeTest

BAR = 44


def report(tests: Sequence[RangeTest], steps: int) -> Iterator[str]:
    """All lines: a chart for each batch size, then the suggestions side by side."""
    for test in tests:
        yield f"Batch size {test.batch_size}: mean loss as the learning rate rises"
        yield from chart(test)
        yield _end(test, steps)
        yield ""
    yield from suggestions(tests)


def chart(test: RangeTest) -> Iterator[str]:
    """One bar for each stretch of the learning rate, from the lowest mean loss (no bar) to the highest.

    Above one and a half times the first loss a bar is cut off and ends in ">".
    """
    stretches = test.stretches()
    means = [stretch.losses.mean for stretch in stretches]
    low, high = min(means, default=0.0), min(max(means, default=0.0), 1.5 * test.losses[0])
    marked = False
    for stretch in stretches:
        mark = ""
        if not marked and test.suggestion is not None and test.suggestion <= stretch.last:
            mark, marked = "  <- falls fastest", True
        loss = stretch.losses.mean
        yield f"  {stretch.first:8.2g}  {_bar(loss, low, high):{BAR + 1}}  {loss:8.4g}{mark}"


def _bar(loss: float, low: float, high: float) -> str:
    if loss > high:
        return "#" * BAR + ">"
    return "#" * round(BAR * (loss - low) / (high - low)) if high > low else ""


def _end(test: RangeTest, steps: int) -> str:
    if not test.exploded:
        return f"  ended after {steps} updates, the loss did not explode"
    return f"  stopped at {test.learning_rates[-1]:.2g}: the loss passed ten times the first, or was no number"


def suggestions(tests: Sequence[RangeTest]) -> Iterator[str]:
    """The suggested learning rates, and how they change with the batch size beside the linear rule (C, part 10)."""
    yield f"{'batch':>6}  {'suggested LR':>12}  {'linear rule':>11}"
    base = next((test for test in tests if test.suggestion is not None), None)
    for test in tests:
        linear = None
        if base is not None and base.suggestion is not None:
            linear = base.suggestion * test.batch_size / base.batch_size
        yield f"{test.batch_size:>6}  {_rate(test.suggestion):>12}  {_rate(linear):>11}"
    yield "Suggested is where the loss falls fastest (C part 10). One test is noisy: trust it to a factor of two or so."


def _rate(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.2g}"
