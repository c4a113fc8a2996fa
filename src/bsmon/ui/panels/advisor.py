"""The advisor: the guidelines' tree with its live numbers, the path taken lit, and one recommendation below it."""

from __future__ import annotations

from bsmon.ui.advice_rows import advice_rows, short_advice
from bsmon.ui.panels.panel import Panel
from bsmon.ui.roles import BLANK, Role, Row
from bsmon.ui.rows import heading
from bsmon.ui.tree_rows import Detail, folded_tree, tree_rows
from bsmon.ui.view import View

_FOLDED_BELOW = 9  # rows; below that the tree is one line


class Advisor(Panel):
    """Shows as much of the tree as the room allows; the recommendation comes first."""

    def rows(self, view: View, width: int, height: int) -> list[Row]:
        """Heading, tree, recommendation."""
        advisor = view.snapshot.advisor
        folded = folded_tree(advisor.tree)
        if height < _FOLDED_BELOW:
            return [heading(4, "Advisor", [folded], width), *short_advice(view, width, height - 1)]
        advice = advice_rows(view, width)
        title = heading(4, "Advisor", [], width)
        for detail in (Detail.EXPLAINED, Detail.VERDICTS, Detail.READINGS, Detail.ANSWERS):
            tree = tree_rows(advisor.tree, width, detail)
            if 2 + len(tree) + len(advice) <= height:
                return [title, *tree, BLANK, *advice]
        if not advisor.tree:
            return [title, *advice]
        left = max(0, height - 3)
        return [title, folded or (("no answers yet", Role.DIM),), BLANK, *advice[:left]]
