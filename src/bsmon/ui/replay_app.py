"""The app over a recording."""

from __future__ import annotations

from bsmon.ui.app import BsmonApp
from bsmon.ui.screens.replay import Recording, ReplayScreen
from bsmon.ui.themes import Theme


class ReplayApp(BsmonApp):
    """Shows a recording until the person quits."""

    def __init__(self, recording: Recording, *, theme: Theme, frames_per_second: float = 4.0) -> None:
        super().__init__(recording, theme=theme, frames_per_second=frames_per_second)
        self._recording = recording

    def get_default_screen(self) -> ReplayScreen:
        """The run screen with a cursor."""
        return ReplayScreen(self._recording, self._palettes, frames_per_second=self._frames_per_second)
