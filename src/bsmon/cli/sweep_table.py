"""What `bsmon sweep` prints. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from bsmon.core.text import clean
from bsmon.trials.sweep import Plan, Row

Column = tuple[str, Callable[[Row], str]]
AS_GOOD = 0.02

_COLUMNS: tuple[Column, ...] = (
    ("batch", lambda row: str(row.batch_size)),
    ("LR", lambda row: f"{row.learning_rate:.2g}"),
    ("updates", lambda row: f"{row.updates:,}"),
    ("samples/s", lambda row: _number(row.samples_per_second, ",.0f")),
    ("loss", lambda row: _number(row.final_loss, ".4g")),
    ("val. loss", lambda row: _number(row.validation_loss, ".4g")),
    ("val. acc.", lambda row: _number(row.validation_accuracy, ".1%")),
    ("grad. var.", lambda row: _number(row.gradient_variance, ".3g")),
    ("sigma²/B", lambda row: _number(row.predicted_variance, ".3g")),
    ("updates/epoch", lambda row: _updates(row)),
)
_SHARPNESS: Column = ("sharpness", lambda row: _number(row.sharpness, ".3g"))


def report(plan: Plan, rows: Sequence[Row]) -> Iterator[str]:
    """All lines."""
    columns = (*_COLUMNS, _SHARPNESS) if plan.sharpness else _COLUMNS
    done = [row for row in rows if not row.failure]
    widths = [max(len(title), *(len(cell(row)) for row in done)) if done else len(title) for title, cell in columns]
    yield "  ".join(f"{title:>{width}}" for (title, _), width in zip(columns, widths, strict=True))
    for row in rows:
        if row.failure:
            yield f"{row.batch_size:>{widths[0]}}  failed: {clean(row.failure)}"
        else:
            yield "  ".join(f"{cell(row):>{width}}" for (_, cell), width in zip(columns, widths, strict=True))
    yield ""
    yield from notes(plan, done)


def notes(plan: Plan, rows: Sequence[Row]) -> Iterator[str]:
    """What the numbers are, and which size did best."""
    yield f"{plan.samples:,} samples each; learning rate by the {plan.rule.value} rule. One run a size: differences"
    yield "of a few per cent mean nothing. Learning rate and data matter more than small batch changes (B section 3)."
    judged = [row for row in rows if row.validation_loss is not None]
    if judged:
        yield _best_validation(judged)
    timed = [row for row in rows if row.samples_per_second is not None]
    if timed:
        fastest = max(timed, key=lambda row: row.samples_per_second or 0.0)
        yield f"Most samples per second: {fastest.batch_size}."
    yield "grad. var.: of the batch gradient at the first weights; sigma²/B: by the smallest size (C part 5)."
    if plan.sharpness:
        yield "sharpness: rise of the training loss when every weight tensor moves by 5 % of its norm (C part 8)."


def _best_validation(rows: Sequence[Row]) -> str:
    """The size with the lowest validation loss, and those that are as good."""
    losses = {row.batch_size: row.validation_loss for row in rows if row.validation_loss is not None}
    best = min(losses, key=losses.__getitem__)
    alike = [str(size) for size, loss in losses.items() if size != best and loss <= losses[best] * (1 + AS_GOOD)]
    also = f"; within {AS_GOOD:.0%} of it: {', '.join(alike)}" if alike else ""
    return f"Lowest validation loss: {best}{also}."


def _updates(row: Row) -> str:
    count = row.updates_per_epoch
    return f"{count:,.0f} {row.verdict}" if count >= 100 else f"{count:.3g} {row.verdict}"


def _number(value: float | None, form: str) -> str:
    return "n/a" if value is None else f"{value:{form}}"
