"""The advisor: the guidelines' tree with its live numbers, the path taken lit, and one recommendation below it."""

from __future__ import annotations

from itertools import zip_longest

from bsmon.core.advice import AdvisorView
from bsmon.ui.advice_rows import advice_rows, short_advice
from bsmon.ui.panels.panel import Panel
from bsmon.ui.roles import BLANK, Row
from bsmon.ui.rows import fit, heading
from bsmon.ui.tree_rows import folded_tree, tree_rows
from bsmon.ui.view import View

_FOLDED_BELOW = 9  # rows; below that the tree is one line
_SIDE_BY_SIDE = 140  # columns from which the recommendation stands beside the tree


class Advisor(Panel):
    """Shows as much of the tree as the room allows; the recommendation comes first."""

    _made: tuple[AdvisorView, tuple[object, ...], list[Row]] | None = None

    def rows(self, view: View, width: int, height: int) -> list[Row]:
        """Heading, tree, recommendation; made anew only when the advisor has said something new."""
        advisor, key = view.snapshot.advisor, (width, height, view.state.ended)
        if self._made is not None and self._made[0] is advisor and self._made[1] == key:
            return self._made[2]
        rows = _rows(view, width, height)
        self._made = (advisor, key, rows)
        return rows


def _rows(view: View, width: int, height: int) -> list[Row]:
    advisor = view.snapshot.advisor
    folded = folded_tree(advisor.tree)
    if height < _FOLDED_BELOW:
        return [heading(4, "Advisor", [folded], width), *short_advice(view, width, height - 1)]
    title = heading(4, "Advisor", [], width)
    advice = advice_rows(view, width)
    if not advisor.tree:
        return [title, *advice]
    if width >= _SIDE_BY_SIDE:
        return [title, *_side_by_side(view, width, height - 1)]
    room = height - 2 - len(advice)
    tree = tree_rows(advisor.tree, width, room, first=advisor.advice.node if advisor.advice else "")
    if len(tree) <= room:
        return [title, *tree, BLANK, *advice]
    return [title, folded, BLANK, *advice[: max(0, height - 3)]]


def _side_by_side(view: View, width: int, height: int) -> list[Row]:
    advisor = view.snapshot.advisor
    right = width * 2 // 5
    left = width - right - 3
    tree = tree_rows(advisor.tree, left, height, first=advisor.advice.node if advisor.advice else "")
    pairs = zip_longest(tree, advice_rows(view, right), fillvalue=BLANK)
    return [(*fit(tree_row, left + 3), *advice_row) for tree_row, advice_row in pairs]
