"""The report of `bsmon check`, as lines of text or as JSON. Pure: no terminal, no files."""

from __future__ import annotations

import dataclasses
import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bsmon.advisor.checks import CHECKLIST, Check, Outcome, Setup, worst
from bsmon.advisor.goodput import powers_of_two
from bsmon.advisor.scaling import learning_rate_factor, optimizer_family, resolve_rule
from bsmon.advisor.updates_per_epoch import updates_verdict
from bsmon.core.commands import LearningRateRule
from bsmon.core.text import clean

MARKS = {Outcome.OK: "ok", Outcome.WARNING: "warning", Outcome.PROBLEM: "PROBLEM", Outcome.UNKNOWN: "unknown"}
_MARK_WIDTH = max(map(len, MARKS.values()))
_LEAST_WIDTH = 60
_NO_BREAK = "\N{NO-BREAK SPACE}"
_USUAL_SIZES = (8, 256)  # C part 11


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the report; `outcome` colours its mark, which is its first word."""

    text: str
    outcome: Outcome | None = None


@dataclass(frozen=True, slots=True)
class SizeRow:
    """What one batch size would mean for this much data: A section 2, and A section 1 for the learning rate."""

    batch_size: int
    updates_per_epoch: str  # "15", or "7-8" where the last batch is short
    verdict: str
    linear_learning_rate: float | None
    learning_rate: float | None  # by the run's own rule
    is_present: bool


@dataclass(frozen=True, slots=True)
class SizeTable:
    """Rows by batch size, and the rule that their second learning rate follows ("" where none is known)."""

    rows: tuple[SizeRow, ...]
    rule: str


def size_table(setup: Setup, sizes: Sequence[int] = ()) -> SizeTable:
    """A row for each of `sizes`, else for the usual powers of two and the present size; none without a data set."""
    samples, present = setup.dataset_size, setup.batch_size
    wanted = sizes or sorted({*powers_of_two(*_USUAL_SIZES), *([present] if present else [])})
    rule = _own_rule(setup)
    rows = [_size_row(setup, samples, size, rule) for size in wanted if size <= samples] if samples is not None else []
    return SizeTable(tuple(rows), rule.value if rule is not None else "")


def _own_rule(setup: Setup) -> LearningRateRule | None:
    """The rule that the run would follow before it knows the noise scale; None where the rule needs one."""
    family = None if setup.optimizer is None else optimizer_family(setup.optimizer)
    wanted = setup.learning_rate_rule or LearningRateRule.AUTO
    rule = resolve_rule(wanted, optimizer_family=family, noise_scale=None)
    return None if rule is LearningRateRule.GAIN else rule


def _size_row(setup: Setup, samples: int, size: int, rule: LearningRateRule | None) -> SizeRow:
    few, rest = divmod(samples, size)
    return SizeRow(
        batch_size=size,
        updates_per_epoch=f"{few}-{few + 1}" if rest else f"{few}",
        verdict=updates_verdict(samples, size).value,
        linear_learning_rate=_scaled(setup, LearningRateRule.LINEAR, size),
        learning_rate=None if rule is None else _scaled(setup, rule, size),
        is_present=size == setup.batch_size,
    )


def _scaled(setup: Setup, rule: LearningRateRule, size: int) -> float | None:
    if setup.learning_rate is None or setup.batch_size is None:
        return None
    return setup.learning_rate * learning_rate_factor(rule, setup.batch_size, size)


def lines(title: str, checks: tuple[Check, ...], table: SizeTable, width: int, hint: str = "") -> Iterator[Line]:
    """The whole report, at most `width` columns wide; a `hint` stands below the title."""
    width = max(width, _LEAST_WIDTH)
    name_width = max(len(check.title) for check in checks)
    yield Line(clean(title))
    if hint:
        yield Line(hint)
    for heading, part in _parts(checks):
        yield Line("")
        yield Line(heading)
        for check in part:
            yield from _check_lines(check, name_width, width)
    if table.rows:
        yield Line("")
        yield Line("Batch sizes for this much data (A section 1 and 2)")
        yield from map(Line, table_lines(table))
    yield Line("")
    yield Line(_summary(checks))


def _parts(checks: Sequence[Check]) -> list[tuple[str, list[Check]]]:
    return [
        ("What the guidelines say", [check for check in checks if check.id not in CHECKLIST]),
        ('"Training issues? Check:" (C part 11)', [check for check in checks if check.id in CHECKLIST]),
    ]


def _check_lines(check: Check, name_width: int, width: int) -> Iterator[Line]:
    start = f"  {MARKS[check.outcome]:{_MARK_WIDTH}}  {check.title:{name_width}}  "
    source = f"[{check.source}]".replace(" ", _NO_BREAK)
    first, *more = [
        *textwrap.wrap(f"{clean(check.found)} {source}", width - len(start), break_on_hyphens=False),
        *textwrap.wrap(clean(check.change), width - len(start), initial_indent="-> ", subsequent_indent="   "),
    ]
    yield Line(start + first.replace(_NO_BREAK, " "), check.outcome)
    yield from (Line(" " * len(start) + text.replace(_NO_BREAK, " ")) for text in more)


def table_lines(table: SizeTable) -> Iterator[str]:
    """The table of batch sizes, aligned; `>` marks the present one. A learning rate that is not known is n/a.

    The run's own rule has a column where it is not the documents' linear one.
    """
    own = table.rule != LearningRateRule.LINEAR
    heading = f"  {'LR, ' + (table.rule or 'own rule'):>13}" if own else ""
    yield f"    {'batch':>6}  {'updates/epoch':>13}  {'verdict':9}  {'LR, linear':>10}{heading}"
    for row in table.rows:
        mark = ">" if row.is_present else " "
        rate = f"  {_rate(row.learning_rate):>13}" if own else ""
        yield (
            f"  {mark} {row.batch_size:>6}  {row.updates_per_epoch:>13}  {row.verdict:9}"
            f"  {_rate(row.linear_learning_rate):>10}{rate}"
        )


def _rate(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.3g}"


def _summary(checks: Sequence[Check]) -> str:
    counts = Counter(check.outcome for check in checks)
    bad = [
        f"{counts[outcome]} {outcome.value}{'' if counts[outcome] == 1 else 's'}"
        for outcome in (Outcome.PROBLEM, Outcome.WARNING)
    ]
    return ", ".join([*bad, f"{counts[Outcome.OK]} ok", f"{counts[Outcome.UNKNOWN]} unknown"])


def as_json(setup: Setup, checks: tuple[Check, ...], table: SizeTable) -> dict[str, object]:
    """The same as plain values; what is not known is null."""
    known = dataclasses.asdict(setup)
    for live in ("health", "gradient_norms_usual", "sizes_run"):
        del known[live]
    return {
        "setup": known,
        "checks": [dataclasses.asdict(check) for check in checks],
        "sizes": [dataclasses.asdict(row) for row in table.rows],
        "learning_rate_rule": table.rule or None,
        "worst": worst(checks).value,
    }
