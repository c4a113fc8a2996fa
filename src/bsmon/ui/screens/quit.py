"""Asked when somebody quits while training is unfinished."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from rich.style import Style
from textual.binding import Binding, BindingType

from bsmon.core.commands import Stop
from bsmon.ui.roles import BLANK, Role, Row
from bsmon.ui.rows import paragraph
from bsmon.ui.screens.dialog import Dialog


@dataclass(frozen=True, slots=True)
class Leave:
    """Close the screen without waiting for the run."""


_CHOICES = (
    ("s", "stop now", "Writes a checkpoint at the next step and ends; bsmon train ... --resume goes on from there."),
    (
        "e",
        "stop after this epoch",
        "Finishes the epoch first: every sample is then seen equally often.",
    ),
    ("d", "detach", "Closes the screen and trains on; bsmon attach brings it back."),
    ("k", "cancel", "Nothing changes; escape does the same."),
)
_LEAVE = ("l", "leave at once", "Does not wait for the step to end. For a run that hangs.")


class QuitScreen(Dialog[Stop | Leave | None]):
    """Each choice with its consequence. A run that is stopping already can also be left at once."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s,enter", "stop(False)", show=False),
        Binding("e", "stop(True)", show=False),
        Binding("d", "app.detach", show=False),
        Binding("k,escape,q", "keep", show=False),
        Binding("l", "leave", show=False),
        Binding("ctrl+c", "stop_or_leave", show=False),
    ]

    def __init__(self, styles: Mapping[str, Style], *, stopping: bool) -> None:
        super().__init__(styles, "The run is stopping" if stopping else "Training is not finished")
        self._stopping = stopping

    def content(self, width: int) -> list[Row]:
        """The choices."""
        rows: list[Row] = []
        for key, name, consequence in (*_CHOICES, *((_LEAVE,) if self._stopping else ())):
            rows.append(((f" {key}  ", Role.KEY), (name, Role.STRONG)))
            rows += [*paragraph(consequence, width, Role.DIM, indent=4), BLANK]
        return rows[:-1]

    def action_stop(self, after_epoch: bool) -> None:
        """Gracefully."""
        self.dismiss(Stop(after_epoch=after_epoch))

    def action_keep(self) -> None:
        """Not after all."""
        self.dismiss(None)

    def action_leave(self) -> None:
        """At once, where that was offered."""
        if self._stopping:
            self.dismiss(Leave())

    def action_stop_or_leave(self) -> None:
        """Ctrl+C again means it: stop, and where that is under way already, leave."""
        self.dismiss(Leave() if self._stopping else Stop())
