"""The screen over a run of another process."""

from __future__ import annotations

import asyncio
import signal

from bsmon.cli.attached_session import AttachedSession
from bsmon.core.records import Level
from bsmon.ui.app import BsmonApp
from bsmon.ui.screens.run import RunScreen
from bsmon.ui.themes import Theme

_NOTICES_EVERY_S = 0.5


class OnlookerScreen(RunScreen):
    """Leaves at once: there is nothing here to end."""

    def action_quit(self) -> None:
        """Leave."""
        self.app.exit()


class AttachedApp(BsmonApp):
    """Shows what the session shows, and tells what it has to say about its connection."""

    def __init__(self, session: AttachedSession, *, theme: Theme, may_control: bool) -> None:
        super().__init__(session, theme=theme)
        self._attached = session
        self._may_control = may_control

    def get_default_screen(self) -> RunScreen:
        """With control quitting asks, as where the run was started."""
        kind = RunScreen if self._may_control else OnlookerScreen
        return kind(self._attached, self._palettes, frames_per_second=self._frames_per_second)

    def on_ready(self) -> None:
        """The terminal is put back before a SIGTERM ends this; the run is not concerned."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self.exit)
        self.set_interval(_NOTICES_EVERY_S, self._tell_notices)

    def _tell_notices(self) -> None:
        screen = self.screen_stack[0]
        for notice in self._attached.notices():
            if isinstance(screen, RunScreen):
                screen.tell(notice, Level.WARNING)
