"""Why: one question of the tree explained, and the progress a second that every batch size promises."""

from __future__ import annotations

from bsmon.advisor.goodput import goodput, knee
from bsmon.core.advice import TreeNode
from bsmon.core.snapshot import Snapshot
from bsmon.core.text import clean
from bsmon.ui import numbers
from bsmon.ui.preview import sizes_around, step_time
from bsmon.ui.roles import Role, Row
from bsmon.ui.rows import paragraph, rule, shorten
from bsmon.ui.tree_rows import reading_text

_SIZE = 8
_SHARE = 7
_NOTE = 12
_LEAST_BAR = 8


def explanation_rows(node: TreeNode, width: int) -> list[Row]:
    """The question, its numbers, the branch taken, and the guidelines' reasoning with its trade-offs."""
    rows: list[Row] = [rule("Why", clean(node.source), width)]
    rows += paragraph(f"{clean(node.question)} {node.answer.value}", width, Role.STRONG)
    if node.readings:
        rows += paragraph(", ".join(map(reading_text, node.readings)), width)
    if node.verdict not in ("", node.answer.value):
        rows += paragraph("→ " + clean(node.verdict), width, Role.ACCENT)
    text = node.explanation or "The guidelines say no more about this."
    for part in text.split("\n"):
        rows += paragraph(clean(part), width, Role.DIM)
    return rows


def goodput_rows(snapshot: Snapshot, width: int) -> list[Row]:
    """Progress a second at every size around the present one, in percent of the best; nothing while not known.

    Samples per second times the worth of a sample (Qiao et al. 2021); the knee is the smallest size within a tenth of
    the best. With only a lower bound of the noise scale the larger sizes are worth more than shown.
    """
    batch, scale, line = snapshot.batch, snapshot.advisor.noise_scale, step_time(snapshot)
    noise = scale.value if scale.value is not None else scale.low
    room = width - _SIZE - _SHARE - _NOTE
    if batch is None or not noise or line is None or room < _LEAST_BAR:
        return []
    sizes = sizes_around(batch, snapshot)
    values = {size: goodput(line, noise, size) for size in sizes}
    best, bend = max(values.values()), knee(line, noise, sizes)
    advised = snapshot.advisor.advice.new_batch_size if snapshot.advisor.advice is not None else None
    basis = f"{line.sizes} sizes timed" if scale.value is not None else f"noise scale at least {numbers.compact(noise)}"
    rows = [rule("Progress a second", basis, width)]
    for size, value in values.items():
        notes = [(size == batch.batch_size, "now"), (size == bend, "knee"), (size == advised, "advice")]
        note = ", ".join(text for true, text in notes if true)
        role = Role.ACCENT if size == batch.batch_size else Role.GOOD if size == advised else Role.GRADIENT
        cells = max(1, round(value / best * room))
        rows.append(
            (
                (f"{numbers.count(size):>{_SIZE - 1}} ", Role.INK),
                ("━" * cells, role),
                (" " * (room - cells) + f"{numbers.share(value / best):>{_SHARE - 1}} ", Role.INK),
                (shorten(note, _NOTE), Role.KEY),
            )
        )
    return rows
