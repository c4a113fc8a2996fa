"""The decision tree as rows: a trunk of questions, the path taken lit, numbers and thresholds at each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import IntEnum

from bsmon.core.advice import Answer, Reading, TreeNode
from bsmon.core.text import clean
from bsmon.ui import numbers
from bsmon.ui.roles import Role, Row, Run
from bsmon.ui.rows import paragraph, row_width, shorten, spread, wrap

_ANSWER_ROLES = {Answer.YES: Role.ACCENT, Answer.NO: Role.INK, Answer.UNKNOWN: Role.DIM}


class Detail(IntEnum):
    """How much of each node is shown."""

    ANSWERS = 0  # one row: question and answer
    READINGS = 1  # and its numbers
    VERDICTS = 2  # and what the branch taken says
    EXPLAINED = 3  # and the guidelines' reasons, for the path taken


def tree_rows(tree: Sequence[TreeNode], width: int, detail: Detail) -> list[Row]:
    """All nodes from the top; nothing while there is no tree."""
    rows: list[Row] = []
    number = 0
    for index, node in enumerate(tree):
        number += node.depth == 0
        label = f"{number} " if node.depth == 0 else ""
        below = [later for later in tree[index + 1 :] if later.depth == 0]
        trunk = (" ", Role.RULE) if not below else ("│", Role.ACCENT if below[0].lit else Role.RULE)
        rows += _node(node, label, width, detail, trunk)
    return rows


def folded_tree(tree: Sequence[TreeNode]) -> Row:
    """One line: the questions' numbers and answers."""
    runs: list[tuple[str, str]] = []
    number = 0
    for node in tree:
        if node.depth:
            continue
        number += 1
        runs.append((f"{'  ' if runs else ''}{number} ", Role.KEY if node.lit else Role.DIM))
        runs.append((node.answer.value, _answer_role(node)))
    return tuple(runs)


def _node(node: TreeNode, label: str, width: int, detail: Detail, trunk: Run) -> list[Row]:
    sign = "●" if node.lit else "○"
    line = Role.ACCENT if node.lit else Role.RULE
    if node.depth == 0:
        lead: Row = ((f"{sign} ", line), (label, Role.KEY if node.lit else Role.DIM))
        below: Row = (trunk, ("   ", Role.RULE))
    else:
        lead = (trunk, (" └ ", line), (f"{sign} ", line))
        below = (trunk, ("     ", Role.RULE))
    question = shorten(clean(node.question), width - row_width(lead) - 9)
    answer: Row = ((node.answer.value, _answer_role(node)),)
    rows = [spread((*lead, (question, Role.INK if node.lit else Role.DIM)), answer, width)]
    inner = width - row_width(below)
    if detail >= Detail.READINGS and node.readings:
        text = ", ".join(reading_text(reading) for reading in node.readings)
        rows += [(*below, *row) for row in paragraph(text, inner, Role.INK if node.lit else Role.DIM, lines=2)]
    if detail >= Detail.VERDICTS and node.verdict and node.lit:
        rows += [(*below, *row) for row in paragraph("→ " + clean(node.verdict), inner, Role.ACCENT)]
    if detail >= Detail.EXPLAINED and node.explanation and node.lit:
        source = f" ({clean(node.source)})" if node.source else ""
        rows += [(*below, (text, Role.DIM)) for text in wrap(clean(node.explanation) + source, inner)]
    return rows


def _answer_role(node: TreeNode) -> Role:
    if not node.lit:
        return Role.DIM
    return _ANSWER_ROLES[node.answer]


def reading_text(reading: Reading) -> str:
    """A number with its threshold as a question: "rise 0.4 z (>= 4?)"."""
    text = f"{clean(reading.label)} {_with_unit(reading.value, reading.unit)}"
    if reading.comparison and reading.threshold is not None:
        sign = {">=": "≥", "<=": "≤"}.get(reading.comparison, reading.comparison)
        text += f" ({sign} {_with_unit(reading.threshold, reading.unit)}?)"
    return text


def _with_unit(value: float | None, unit: str) -> str:
    if value is None or not math.isfinite(value):
        return numbers.number(value)
    if unit == "bytes":
        return numbers.size(value)
    if unit == "%":
        return numbers.percent(value)
    if unit == "s":
        return numbers.interval(value)
    if unit == "samples/s":
        return f"{numbers.compact(value)} samples/s"
    shown = numbers.count(int(value)) if value == int(value) and abs(value) < 1e6 else f"{value:.3g}"
    return f"{shown}x" if unit == "x" else shown
