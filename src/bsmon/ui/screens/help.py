"""The help screen: every key from the key table, and what bsmon itself costs."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import zip_longest
from typing import ClassVar

from rich.style import Style
from textual.binding import Binding, BindingType

from bsmon.ui import numbers
from bsmon.ui.keys import KEYS, Group
from bsmon.ui.roles import BLANK, Role, Row
from bsmon.ui.rows import fit, paragraph
from bsmon.ui.screens.dialog import Dialog
from bsmon.ui.view import View

_LEGEND = (
    "A change of the batch size takes effect at the next step and carries the learning rate along by the run's rule. "
    "The number in the header is what training uses; an arrow beside it is what was asked for."
)


class HelpScreen(Dialog[None]):
    """Any of its keys closes it."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,question_mark,q,enter,space,ctrl+c", "close", show=False)]

    def __init__(self, styles: Mapping[str, Style], view: View | None) -> None:
        super().__init__(styles, "Keys")
        self._view = view

    def content(self, width: int) -> list[Row]:
        """Two columns of keys; costs and explanation where there is room."""
        left = [*_group(Group.CHANGE), BLANK, *_group(Group.RUN)]
        right = [*_group(Group.LOOK), BLANK, *_costs(self._view)]
        half = width // 2
        rows: list[Row] = [
            (*fit(one, half), *fit(other, width - half)) for one, other in zip_longest(left, right, fillvalue=BLANK)
        ]
        legend = [BLANK, *paragraph(_LEGEND, width, Role.DIM)]
        fits = len(rows) + len(legend) + 4 <= self.app.size.height
        return [*rows, *legend] if fits else rows

    def action_close(self) -> None:
        """Back to the run."""
        self.dismiss()


def _group(group: Group) -> list[Row]:
    title: Row = ((group.value, Role.TITLE),)
    return [title, *(((f"{key.shown:>5}  ", Role.KEY), (key.help, Role.INK)) for key in KEYS if key.group is group)]


def _costs(view: View | None) -> list[Row]:
    """Drawing and sampling in percent of one core, the gradients' measurements of the training time."""
    hardware = None if view is None else view.snapshot.hardware
    entries = (
        ("drawing", numbers.share(None if view is None else view.drawing_share), "of a core"),
        ("sampling", numbers.percent(None if hardware is None else hardware.sampler_cpu_percent), "of a core"),
        ("gradients", numbers.share(None if view is None else view.snapshot.progress.probes_cost_share), "of training"),
    )
    title: Row = (("What bsmon itself costs", Role.TITLE),)
    return [
        title,
        *(((f"  {name:<11}", Role.DIM), (f"{value:>5} ", Role.INK), (of, Role.DIM)) for name, value, of in entries),
    ]
