"""The decision tree as rows: a trunk of questions, the path taken lit, numbers and thresholds at each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from bsmon.core.advice import Answer, Reading, TreeNode
from bsmon.core.text import clean
from bsmon.ui import numbers
from bsmon.ui.roles import Role, Row, Run
from bsmon.ui.rows import paragraph, row_width, shorten, spread, wrap

_ANSWER_CELLS = 9  # "unknown", and room before it
_ANSWER_ROLES = {Answer.YES: Role.ACCENT, Answer.NO: Role.INK, Answer.UNKNOWN: Role.DIM}


class Detail(IntEnum):
    """How much of a node is shown."""

    ANSWER = 0  # one row: question and answer
    READINGS = 1  # the whole question, and its numbers
    VERDICT = 2  # and what the branch taken says
    EXPLAINED = 3  # and the guidelines' reasons, for the path taken


def tree_rows(tree: Sequence[TreeNode], width: int, height: int, *, first: str = "", chosen: str = "") -> list[Row]:
    """All nodes from the top, each with as much detail as there is room for; nothing while there is no tree.

    `first` is the id of the node to detail before all others: the one that the recommendation comes from. At least
    one row a node is made, so that the tree may be higher than `height`. `chosen` is the id of the node to point at.
    """
    shown = [_node(node, place, width, Detail.ANSWER) for node, place in _placed(tree, chosen)]
    left = height - sum(map(len, shown))
    order = sorted(
        range(len(tree)), key=lambda i: (tree[i].id != first, not tree[i].lit, tree[i].answer is not Answer.YES)
    )
    places = _placed(tree, chosen)
    # A question that is pointed at is explained beside the tree.
    details = (Detail.READINGS, Detail.VERDICT, *(() if chosen else (Detail.EXPLAINED,)))
    for detail in details:
        for index in order:
            rows = _node(*places[index], width, detail)
            if len(rows) - len(shown[index]) <= left:
                left -= len(rows) - len(shown[index])
                shown[index] = rows
    return [row for rows in shown for row in rows]


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a node stands in the tree: its number ("" below a question) and the trunk beside it."""

    label: str
    trunk: Run
    is_chosen: bool


def _placed(tree: Sequence[TreeNode], chosen: str) -> list[tuple[TreeNode, _Place]]:
    placed = []
    number = 0
    for index, node in enumerate(tree):
        number += node.depth == 0
        below = [later for later in tree[index + 1 :] if later.depth == 0]
        trunk = (" ", Role.RULE) if not below else ("│", Role.ACCENT if below[0].lit else Role.RULE)
        placed.append((node, _Place(f"{number} " if node.depth == 0 else "", trunk, node.id == chosen)))
    return placed


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


def _node(node: TreeNode, place: _Place, width: int, detail: Detail) -> list[Row]:
    line = Role.ACCENT if node.lit else Role.RULE
    sign = ("▸ ", Role.KEY) if place.is_chosen else ("● " if node.lit else "○ ", line)
    lead: Row = (sign, (place.label, Role.KEY if node.lit else Role.DIM))
    below: Row = (place.trunk, ("   ", Role.RULE))
    if node.depth:
        lead = (place.trunk, (" └ ", line), sign)
        below = (place.trunk, ("     ", Role.RULE))
    inner = width - row_width(below)
    rows = _question(node, lead, below, width, whole=detail >= Detail.READINGS)
    if detail >= Detail.READINGS and node.readings:
        text = ", ".join(reading_text(reading) for reading in node.readings)
        rows += [(*below, *row) for row in paragraph(text, inner, Role.INK if node.lit else Role.DIM)]
    if detail >= Detail.VERDICT and node.lit and node.verdict not in ("", node.answer.value):
        rows += [(*below, *row) for row in paragraph("→ " + clean(node.verdict), inner, Role.ACCENT)]
    if detail >= Detail.EXPLAINED and node.explanation and node.lit:
        source = f" ({clean(node.source)})" if node.source else ""
        rows += [(*below, *row) for row in paragraph(clean(node.explanation) + source, inner, Role.DIM)]
    return rows


def _question(node: TreeNode, lead: Row, below: Row, width: int, *, whole: bool) -> list[Row]:
    """The question with its answer at the right edge of the first row."""
    role = Role.INK if node.lit else Role.DIM
    room = max(1, width - row_width(lead) - _ANSWER_CELLS)
    text = clean(node.question)
    lines = wrap(text, room) if whole else [shorten(text, room)]
    answer: Row = ((node.answer.value, _answer_role(node)),)
    rows = [spread((*lead, (line, role)), answer, width) for line in lines[:1]]
    return rows + [(*below, (line, role)) for line in lines[1:]]


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
    shown = (
        numbers.count(int(value)) if value == int(value) and abs(value) < 1e6 else f"{value:.3g}".replace("e-0", "e-")
    )
    return f"{shown}x" if unit == "x" else shown
