"""Running with the screen: what prints goes to the log, training starts after the first paint."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import click

from bsmon.cli.capture import captured
from bsmon.config.schema import Ui
from bsmon.core.commands import Stop
from bsmon.session.live import LiveSession
from bsmon.ui.app import BsmonApp
from bsmon.ui.themes import Theme, choose_theme

# After this long a person wants to know why the shell is not back.
_SILENT_S = 1.0


class TrainingApp(BsmonApp):
    """The screen over a training of this process."""

    def __init__(self, session: LiveSession, theme: Theme, frames_per_second: float) -> None:
        super().__init__(session, theme=theme, frames_per_second=frames_per_second)
        self._training = session

    def on_ready(self) -> None:
        """The first frame stands: now torch may be imported, which holds the interpreter for seconds."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self._terminated)
        self._training.start()

    def _terminated(self) -> None:
        self._training.submit(Stop())
        self.exit()


def run_screen(session: LiveSession, settings: Ui, log: Path) -> None:
    """Show the screen until the person leaves or the run ends and they quit; then see the training to its end.

    Raises BadInput for a theme that does not exist.
    """
    theme = choose_theme(settings.theme, os.environ)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        with captured(descriptor):
            TrainingApp(session, theme, settings.frames_per_second).run(mouse=False)
    finally:
        os.close(descriptor)
    finish(session)


def finish(session: LiveSession) -> None:
    """Wait for the training thread: ending the program under it would abort it in the middle of a step."""
    if session.ended.is_set():
        return
    session.submit(Stop())
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if not session.ended.wait(_SILENT_S):
        click.echo("bsmon: finishing the step and saving a checkpoint (Ctrl-C ends at once, without)", err=True)
        session.ended.wait()
