"""The textual app: a theme, and the run screen over a session."""

from __future__ import annotations

from collections.abc import Mapping

from rich.style import Style
from textual.app import App
from textual.theme import Theme as TextualTheme

from bsmon.core.ports import Session
from bsmon.core.records import Level
from bsmon.ui.driver import DetachableDriver
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
        super().__init__(driver_class=DetachableDriver)
        self.animation_level = "none"
        self._session = session
        self._frames_per_second = frames_per_second
        self._palettes = Palettes(rich_styles(theme.styles, theme.background), rich_styles(theme.styles, theme.raised))
        self.register_theme(_textual_theme(theme, self._palettes.page))
        self.theme = theme.name

    def get_default_screen(self) -> RunScreen:
        """The run screen; dialogs go above it."""
        return RunScreen(self._session, self._palettes, frames_per_second=self._frames_per_second)

    @property
    def detachable_driver(self) -> DetachableDriver | None:
        """The terminal's driver; None before the app runs, and in tests without a terminal."""
        return self._driver if isinstance(self._driver, DetachableDriver) else None

    def action_detach(self) -> None:
        """Leave the screen and not the run. What becomes of the run is up to whoever started this app."""
        self.exit()

    def action_suspend_process(self) -> None:
        """Stop this program until the shell's `fg`, where a shell can do that."""
        driver = self.detachable_driver
        if driver is not None and driver.can_suspend:
            super().action_suspend_process()
        elif isinstance(self.screen, RunScreen):
            self.screen.tell("No shell with job control has started bsmon: nothing could bring it back.", Level.WARNING)


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
