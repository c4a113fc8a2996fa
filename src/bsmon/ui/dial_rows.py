"""The batch dial as rows: a table of sizes, the learning rate by every rule, the micro batch."""

from __future__ import annotations

from dataclasses import dataclass

from bsmon.advisor.updates_per_epoch import UpdatesVerdict
from bsmon.core.commands import LearningRateRule
from bsmon.core.snapshot import BatchState, Snapshot
from bsmon.ui import numbers
from bsmon.ui.preview import Preview, learning_rate, rule_in_force
from bsmon.ui.roles import Role, Row, Run
from bsmon.ui.rows import fit, shorten

RULES = tuple(LearningRateRule)
RULE_NAMES = {
    LearningRateRule.AUTO: "auto",
    LearningRateRule.UNCHANGED: "unchanged",
    LearningRateRule.LINEAR: "linear",
    LearningRateRule.SQRT: "sqrt",
    LearningRateRule.GAIN: "gain",
}
LABEL = 14
_VERDICT_ROLES = {
    UpdatesVerdict.PLENTY: Role.DIM,
    UpdatesVerdict.GOOD: Role.GOOD,
    UpdatesVerdict.OK: Role.INK,
    UpdatesVerdict.MARGINAL: Role.WARNING,
    UpdatesVerdict.TOO_FEW: Role.BAD,
}
_COLUMNS = (("batch", 9), ("updates/epoch", 15), ("memory", 21), ("samples/s", 11), ("worth", 6))
_RULE_CELLS = 11


@dataclass(frozen=True, slots=True)
class Chosen:
    """What stands chosen in the dial."""

    batch_size: int | None  # None: what was typed is no batch size
    rule: LearningRateRule


def label(text: str) -> Row:
    """The left column of the rows around the table."""
    return ((text.ljust(LABEL), Role.DIM),)


def table_rows(found: list[Preview], batch: BatchState, chosen: Chosen, advised: int | None) -> list[Row]:
    """Headings, and a row for every size."""
    heading: Row = tuple((text.ljust(cells), Role.DIM) for text, cells in _COLUMNS)
    rows: list[Row] = [(("  ", Role.INK), *heading)]
    for preview in found:
        is_chosen = preview.batch_size == chosen.batch_size
        note = "now" if preview.batch_size == batch.batch_size else ""
        if not note and preview.batch_size == advised:
            note = "← advice"
        rows.append(
            (("▸ " if is_chosen else "  ", Role.ACCENT), *_cells(preview, is_chosen=is_chosen), (note, Role.KEY))
        )
    return rows


def _cells(preview: Preview, *, is_chosen: bool) -> Row:
    size_role = Role.STRONG if is_chosen else Role.INK
    speed = numbers.compact(preview.samples_per_second)
    if preview.samples_per_second is not None and not preview.is_measured:
        speed = f"~{speed}"
    sign = "≥" if preview.is_at_least else ""
    worth = numbers.UNKNOWN if preview.efficiency is None else f"{sign}{preview.efficiency:.2f}"
    cells: tuple[Row, ...] = (
        ((numbers.count(preview.batch_size), size_role),),
        _updates(preview),
        (_memory(preview),),
        ((speed, Role.INK if preview.is_measured else Role.DIM),),
        ((worth, Role.INK),),
    )
    return tuple(run for (_, width), row in zip(_COLUMNS, cells, strict=True) for run in fit(row, width))


def _updates(preview: Preview) -> Row:
    if preview.verdict is None:
        return ((numbers.UNKNOWN, Role.DIM),)
    count = f"{numbers.count(preview.updates):>5} "
    return ((count, Role.INK), (preview.verdict.value, _VERDICT_ROLES[preview.verdict]))


def _memory(preview: Preview) -> Run:
    peak = numbers.size(preview.peak_bytes)
    if preview.passes_of < preview.share:
        known = f", {peak}" if preview.peak_bytes is not None else ""
        return f"{numbers.count(preview.passes_of)} at a time{known}", Role.WARNING
    if preview.in_one_pass is False:
        return ("ran out of memory" if preview.ran_out else f"{peak} does not fit"), Role.BAD
    if preview.in_one_pass:
        return f"{peak} fits", Role.INK
    return peak, Role.DIM if preview.peak_bytes is None else Role.INK


def rule_rows(chosen: Chosen, batch: BatchState, snapshot: Snapshot) -> list[Row]:
    """The rules side by side, and below each the learning rate that it gives at the chosen size."""
    names: list[Run] = []
    values: list[Run] = []
    for rule in RULES:
        sign, role = ("▸", Role.STRONG) if rule is chosen.rule else (" ", Role.DIM)
        names.append((f"{sign}{RULE_NAMES[rule]}".ljust(_RULE_CELLS), role))
        value = "" if chosen.batch_size is None else _rate(rule, chosen.batch_size, batch, snapshot)
        values.append((f" {value}".ljust(_RULE_CELLS), role))
    return [(*label("learning rate"), *names), (*label(f" now {numbers.learning_rate(batch.learning_rate)}"), *values)]


def _rate(rule: LearningRateRule, size: int, batch: BatchState, snapshot: Snapshot) -> str:
    value = learning_rate(rule, size, batch, snapshot)
    return numbers.UNKNOWN if value is None else numbers.learning_rate(value)


def rule_note(chosen: Chosen, snapshot: Snapshot, width: int) -> Row:
    """What the chosen rule is."""
    meant = rule_in_force(chosen.rule, snapshot)
    text = {
        LearningRateRule.UNCHANGED: "the learning rate stays",
        LearningRateRule.LINEAR: "as the batch size (A section 1, B section 3, C part 6)",
        LearningRateRule.SQRT: "as the batch size's square root: suits Adam",
        LearningRateRule.GAIN: "as far as the noise scale says that it pays",
    }[meant]
    if meant is LearningRateRule.GAIN and snapshot.advisor.noise_scale.value is None:
        text = "gain needs the noise scale, which is not known yet"
    shown = f"{RULE_NAMES[meant]}: {text}" if chosen.rule is LearningRateRule.AUTO else text
    return (*label(""), (shorten(f" {shown}", width - LABEL), Role.DIM))
