"""The help screen, made from the key table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from rich.style import Style
from textual.binding import Binding, BindingType

from bsmon.ui.keys import KEYS
from bsmon.ui.roles import BLANK, Role, Row
from bsmon.ui.rows import paragraph
from bsmon.ui.screens.dialog import Dialog

_LEGEND = (
    "A change of the batch size takes effect at the next step and carries the learning rate along by the run's rule. "
    "The number in the header is what training uses; an arrow beside it is what was asked for."
)


class HelpScreen(Dialog[None]):
    """Any of its keys closes it."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,question_mark,q,enter,space,ctrl+c", "close", show=False)]

    def __init__(self, styles: Mapping[str, Style]) -> None:
        super().__init__(styles, "Keys")

    def content(self, width: int) -> list[Row]:
        """One row a key; the explanation where there is room below."""
        rows: list[Row] = [((f"{key.shown:>6}  ", Role.KEY), (key.help, Role.INK)) for key in KEYS]
        legend = [BLANK, *paragraph(_LEGEND, width, Role.DIM)]
        fits = len(rows) + len(legend) + 4 <= self.app.size.height
        return [*rows, *legend] if fits else rows

    def action_close(self) -> None:
        """Back to the run."""
        self.dismiss()
