"""The base of all panels of the run screen."""

from __future__ import annotations

from collections.abc import Mapping

from rich.style import Style

from bsmon.ui.panels.sheet import Sheet
from bsmon.ui.roles import Row
from bsmon.ui.view import View


class Panel(Sheet):
    """Shows views. Subclasses say in `rows` what they show; they know no colours and no markup."""

    def __init__(self, styles: Mapping[str, Style], *, id: str) -> None:  # noqa: A002 - textual's own name
        super().__init__(styles, id=id)
        self._view: View | None = None

    def rows(self, view: View, width: int, height: int) -> list[Row]:
        """The panel's content: at most `height` rows of at most `width` cells are seen."""
        raise NotImplementedError

    def show(self, view: View) -> None:
        """Take a new view and paint what it changes."""
        self._view = view
        self.draw()

    def draw(self) -> None:
        """Make the rows anew; a panel that has no place on the screen costs nothing."""
        width, height = self.size
        if self._view is not None and width and height and self.is_on_screen:
            self.put(self.rows(self._view, width, height))

    def on_resize(self) -> None:
        """Other sizes show other things."""
        self._rows = []
        self.draw()

    def on_show(self) -> None:
        """Back on the screen, perhaps at the size it had before."""
        self.draw()
