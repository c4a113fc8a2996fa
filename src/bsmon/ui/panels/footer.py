"""The bottom line: the keys, and for a few seconds what came of the last thing asked for."""

from __future__ import annotations

from bsmon.core.records import Level
from bsmon.core.snapshot import RunState
from bsmon.core.text import clean
from bsmon.ui.keys import HINTS
from bsmon.ui.panels.events import LEVEL_ROLES
from bsmon.ui.panels.panel import Panel
from bsmon.ui.roles import Role, Row
from bsmon.ui.rows import joined, shorten
from bsmon.ui.view import View

NOTICE_S = 6.0


class Footer(Panel):
    """Keys from the one key table; `notice` outranks them for a while."""

    notice: tuple[str, Level] | None = None

    def tell(self, text: str, level: Level) -> None:
        """Show a sentence for a few seconds."""
        self.notice = (text, level)
        self.draw()
        self.set_timer(NOTICE_S, lambda: self._forget((text, level)))

    def _forget(self, notice: tuple[str, Level]) -> None:
        if self.notice == notice:
            self.notice = None
            self.draw()

    def rows(self, view: View, width: int, height: int) -> list[Row]:  # noqa: ARG002 - cut by the base
        """One row."""
        if self.notice is not None:
            text, level = self.notice
            return [((f" {shorten(clean(text), width - 2)}", LEVEL_ROLES[level]),)]
        return [((" ", Role.INK), *joined(key_hints(view), width - 2, "  "))]


def key_hints(view: View) -> list[Row]:
    """The hints that mean something in the run's present state."""
    hints: list[Row] = []
    for keys, text in HINTS:
        if view.state.ended and keys not in ("?", "q"):
            continue
        label = "resume" if keys == "space" and view.state is RunState.PAUSED else text
        hints.append(((keys, Role.KEY), (f" {label}", Role.DIM)))
    return hints
