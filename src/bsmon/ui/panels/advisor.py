"""The advisor: the guidelines' tree with its live numbers, the path taken lit, and one recommendation below it.

Alone on the screen it explains one question at a time, the one that the recommendation comes from to begin with.
"""

from __future__ import annotations

from itertools import zip_longest

from bsmon.core.advice import AdvisorView
from bsmon.ui.advice_rows import advice_rows, short_advice
from bsmon.ui.checklist_rows import checklist_rows
from bsmon.ui.explain_rows import explanation_rows, goodput_rows
from bsmon.ui.panels.panel import Panel
from bsmon.ui.roles import BLANK, Role, Row
from bsmon.ui.rows import fit, heading
from bsmon.ui.tree_rows import folded_tree, tree_rows
from bsmon.ui.view import View

_FOLDED_BELOW = 9  # rows; below that the tree is one line
_SIDE_BY_SIDE = 100  # columns from which the explanation stands beside the tree
_WINDOW = 7  # questions shown around the chosen one where room is short


class Advisor(Panel):
    """Shows as much of the tree as the room allows; the recommendation comes first."""

    _made: tuple[AdvisorView, tuple[object, ...], list[Row]] | None = None

    def rows(self, view: View, width: int, height: int) -> list[Row]:
        """Heading, tree, recommendation; made anew only when the advisor has said something new."""
        advisor = view.snapshot.advisor
        is_alone = view.maximised == "advisor" and bool(advisor.tree) and height >= _FOLDED_BELOW
        key = (width, height, view.state.ended, is_alone, view.chosen, view.snapshot.sizes if is_alone else ())
        if self._made is not None and self._made[0] is advisor and self._made[1] == key:
            return self._made[2]
        rows = _alone(view, width, height) if is_alone else _rows(view, width, height)
        self._made = (advisor, key, rows)
        return rows


def chosen_node(view: View) -> int:
    """Index of the question to explain: the one chosen, else the recommendation's, else the last on the path."""
    advisor = view.snapshot.advisor
    if view.chosen is not None:
        return min(max(0, view.chosen), max(0, len(advisor.tree) - 1))
    wanted = advisor.advice.node if advisor.advice is not None else ""
    lit = [index for index, node in enumerate(advisor.tree) if node.lit]
    found = (index for index, node in enumerate(advisor.tree) if node.id == wanted)
    return next(found, lit[-1] if lit else 0)


def _rows(view: View, width: int, height: int) -> list[Row]:
    advisor = view.snapshot.advisor
    folded = folded_tree(advisor.tree)
    if height < _FOLDED_BELOW:
        return [heading(4, "Advisor", [folded], width), *short_advice(view, width, height - 1)]
    title = heading(4, "Advisor", [], width)
    advice = advice_rows(view, width)
    if not advisor.tree:
        return [title, *advice]
    room = height - 2 - len(advice)
    tree = tree_rows(advisor.tree, width, room, first=advisor.advice.node if advisor.advice else "")
    if len(tree) <= room:
        return [title, *tree, BLANK, *advice]
    return [title, folded, BLANK, *advice[: max(0, height - 3)]]


def _alone(view: View, width: int, height: int) -> list[Row]:
    advisor, at = view.snapshot.advisor, chosen_node(view)
    hint: Row = (("↑↓", Role.KEY), (" another question", Role.DIM))
    title = heading(4, "Advisor", [hint], width)
    node, room = advisor.tree[at], height - 1
    if width < _SIDE_BY_SIDE:
        listed = tree_rows(advisor.tree, width, 0, chosen=node.id)
        first = min(max(0, at - _WINDOW // 2), max(0, len(listed) - _WINDOW))
        shown = listed if len(listed) * 2 <= room else listed[first : first + _WINDOW]
        rows = [*shown, BLANK, *explanation_rows(node, width), BLANK]
        return [title, *rows, *_whatever_fits(view, width, room - len(rows))]
    right = width // 2 - 2
    left = width - right - 3
    advice = advice_rows(view, left)
    tree = tree_rows(advisor.tree, left, room - len(advice) - 1, first=node.id, chosen=node.id)
    chart = goodput_rows(view.snapshot, right)
    beside = [*explanation_rows(node, right), BLANK, *chart, *([BLANK] if chart else [])]
    beside += checklist_rows(advisor.checklist, right)
    pairs = zip_longest([*tree, BLANK, *advice], beside, fillvalue=BLANK)
    return [title, *((*fit(one, left + 3), *other) for one, other in pairs)]


def _whatever_fits(view: View, width: int, room: int) -> list[Row]:
    """The recommendation, then the sizes' promises, then the checklist, each as a whole."""
    rows = short_advice(view, width, min(5, room)) if room > 0 else []
    for more in (goodput_rows(view.snapshot, width), checklist_rows(view.snapshot.advisor.checklist, width)):
        if more and len(rows) + 1 + len(more) <= room:
            rows = [*rows, BLANK, *more]
    return rows
