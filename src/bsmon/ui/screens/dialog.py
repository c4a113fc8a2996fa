"""The base of the dialogs: a framed panel of rows in the middle, over the run screen that goes on living."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from rich.style import Style
from textual.app import ComposeResult
from textual.screen import ModalScreen

from bsmon.ui.panels.sheet import Sheet
from bsmon.ui.roles import Role, Row

Answer = TypeVar("Answer")

_REDRAW_S = 1.0
_FRAME = 6  # cells that border and padding take from the width


class Dialog(ModalScreen[Answer]):
    """Subclasses say in `content` what stands in it, and call `redraw` when that changes."""

    DEFAULT_CSS = """
    Dialog { align: center middle; background: $background 60%; }
    Dialog Sheet { border: solid $accent; padding: 1 2; background: $surface; max-width: 100%; max-height: 100%; }
    Dialog:ansi { background: transparent; }
    """
    WIDTH = 78

    def __init__(self, styles: Mapping[str, Style], title: str) -> None:
        super().__init__()
        self._sheet = Sheet(styles, id="sheet")
        self._sheet.border_title = title

    def content(self, width: int) -> list[Row]:
        """The rows to show, each at most `width` cells."""
        raise NotImplementedError

    def compose(self) -> ComposeResult:
        """Only the sheet."""
        yield self._sheet

    def on_mount(self) -> None:
        """The first drawing; the run goes on, so that its numbers change."""
        self.redraw()
        self.set_interval(_REDRAW_S, self.redraw)

    def on_resize(self) -> None:
        """The same for another size of the terminal."""
        self.redraw()

    def redraw(self) -> None:
        """Show the content as it is now; the frame follows its size."""
        width = min(self.WIDTH, max(_FRAME + 1, self.app.size.width))
        rows = self.content(width - _FRAME)
        self._sheet.styles.width, self._sheet.styles.height = width, len(rows) + 4
        self._sheet.put(rows)


def keys_row(keys: Sequence[tuple[str, str]]) -> Row:
    """What can be pressed in a dialog."""
    return tuple(run for key, text in keys for run in ((key, Role.KEY), (f" {text}   ", Role.DIM)))
