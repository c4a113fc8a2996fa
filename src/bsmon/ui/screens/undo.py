"""Asks how the last batch change is to be taken back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from rich.style import Style
from textual.binding import Binding, BindingType

from bsmon.core.commands import Undo
from bsmon.core.ports import Session
from bsmon.core.snapshot import Snapshot
from bsmon.ui import numbers
from bsmon.ui.roles import BLANK, Role, Row
from bsmon.ui.rows import paragraph
from bsmon.ui.screens.dialog import Dialog


class UndoScreen(Dialog[Undo | None]):
    """Each way with its consequence."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("u,enter", "undo(False)", show=False),
        Binding("w", "undo(True)", show=False),
        Binding("k,escape,q,ctrl+c", "keep", show=False),
    ]

    def __init__(self, session: Session, styles: Mapping[str, Style]) -> None:
        super().__init__(styles, "Take the last batch change back")
        self._session = session

    def content(self, width: int) -> list[Row]:
        """What it was, and the choices."""
        snapshot = self._session.snapshot()
        rows: list[Row] = [((_last_change(snapshot), Role.INK),), BLANK]
        for key, name, consequence in _choices(snapshot):
            rows.append(((f" {key}  ", Role.KEY), (name, Role.STRONG)))
            rows += [*paragraph(consequence, width, Role.DIM, indent=4), BLANK]
        return rows[:-1]

    def action_undo(self, weights: bool) -> None:
        """Take it back."""
        self.dismiss(Undo(weights=weights))

    def action_keep(self) -> None:
        """Not after all."""
        self.dismiss(None)


def _last_change(snapshot: Snapshot) -> str:
    if not snapshot.marks:
        return "A change of the micro batch."
    mark = snapshot.marks[-1]
    return f"Batch size {mark.old_batch_size:,} → {mark.new_batch_size:,} at step {numbers.count(mark.step)}."


def _choices(snapshot: Snapshot) -> tuple[tuple[str, str, str], ...]:
    mark = snapshot.marks[-1] if snapshot.marks else None
    back = f"step {mark.step:,}" if mark is not None else "that step"
    lost = max(0, snapshot.progress.step - mark.step) if mark is not None else None
    again = "what was learned since is lost" if lost is None else f"{numbers.count(lost)} steps are trained again"
    return (
        ("u", "undo, the weights stay", "Batch size and learning rate go back. What was learned since is kept."),
        (
            "w",
            "undo with the weights",
            f"Weights, optimizer and place in the data go back to {back}, too: {again}. For a change that hurt.",
        ),
        ("k", "keep the change", "Nothing changes. Escape does the same."),
    )
