"""The textual app: a theme, and the run screen over a session."""

from __future__ import annotations

from collections.abc import Mapping

from rich.style import Style
from textual.app import App
from textual.theme import Theme as TextualTheme

from bsmon.core.ports import Session
from bsmon.ui.panels.sheet import Palettes, rich_styles
from bsmon.ui.roles import Role
from bsmon.ui.screens.run import RunScreen
from bsmon.ui.themes import Theme

_TERMINALS_OWN = "ansi_default"


class BsmonApp(App[None]):
    """Shows a session until the person quits or the run ends with bad input.

    Run it with `mouse=False`: nothing here is clicked, and the terminal's own text selection keeps working.
    """

    ENABLE_COMMAND_PALETTE = False
    ALLOW_SELECT = False

    def __init__(self, session: Session, *, theme: Theme, frames_per_second: float = 2.0) -> None:
        super().__init__()
        self.animation_level = "none"
        self._session = session
        self._frames_per_second = frames_per_second
        self._palettes = Palettes(rich_styles(theme.styles, theme.background), rich_styles(theme.styles, theme.raised))
        self.register_theme(_textual_theme(theme, self._palettes.page))
        self.theme = theme.name

    def get_default_screen(self) -> RunScreen:
        """The run screen; dialogs go above it."""
        return RunScreen(self._session, self._palettes, frames_per_second=self._frames_per_second)


def _textual_theme(theme: Theme, palette: Mapping[str, Style]) -> TextualTheme:
    """What textual itself draws: the background, and the frames of the dialogs."""

    def colour(role: Role) -> str:
        found = palette[role].color
        return found.name if found is not None else _TERMINALS_OWN

    return TextualTheme(
        name=theme.name,
        primary=colour(Role.ACCENT),
        accent=colour(Role.ACCENT),
        foreground=colour(Role.INK),
        background=theme.background or _TERMINALS_OWN,
        surface=theme.raised or _TERMINALS_OWN,
        panel=theme.raised or _TERMINALS_OWN,
        dark=theme.dark,
        ansi=not theme.background,
        # Named by textual's own style sheets for themes in the terminal's colours; nothing here shows them.
        variables={"ansi-background": _TERMINALS_OWN, "ansi-foreground": _TERMINALS_OWN},
    )
