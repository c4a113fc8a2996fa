"""The screen over a training of this process, and what becomes of it when the terminal goes."""

from __future__ import annotations

import contextlib
import sys
import threading
import traceback
from collections.abc import Callable

from bsmon.cli.capture import Capture
from bsmon.core.commands import Stop
from bsmon.session.live import LiveSession
from bsmon.ui.app import BsmonApp
from bsmon.ui.themes import Theme

# A terminal that stalls holds the screen up; after this long an end that was asked for does not wait for it.
_PATIENCE_S = 1.0
_FOREGROUND_EVERY_S = 1.0


class TrainingApp(BsmonApp):
    """Implements `terminal_watch.Reaction`. Afterwards `how_lost`, `detached` and `crash` say why it ended."""

    def __init__(
        self,
        session: LiveSession,
        theme: Theme,
        frames_per_second: float,
        capture: Capture,
        begin: Callable[[], None],
    ) -> None:
        """`begin` starts the training."""
        super().__init__(session, theme=theme, frames_per_second=frames_per_second)
        # Textual would keep what is printed for widgets of its own: nobody would see it. And without a descriptor in
        # sys.stderr the DataLoader cannot start a worker.
        self._capture_stdout = sys.stdout  # type: ignore[assignment]  # by `capture` they lead to the log
        self._capture_stderr = sys.stderr  # type: ignore[assignment]  # likewise
        self._begin = begin
        self._streams = (sys.stdout, sys.stderr)
        self._training = session
        self._capture = capture
        self._gone = threading.Event()
        self._exit_wanted = False
        self.how_lost = ""
        self.detached = False
        self.crash = ""
        """The traceback of an error of the screen itself."""

    def on_load(self) -> None:
        """Lost before there was anything to draw on: then nothing is drawn."""
        if self._exit_wanted:
            self.exit()

    def on_ready(self) -> None:
        """The first frame stands: now torch may be imported, which holds the interpreter for seconds."""
        # Textual's stand-ins throw away what is printed, and give -1 as their descriptor, which multiprocessing hands
        # on to the helper of DataLoader workers: none would start. The real streams go to the log.
        sys.stdout, sys.stderr = self._streams
        self._begin()
        if self._exit_wanted:
            self.exit()
        self.set_interval(_FOREGROUND_EVERY_S, self._return_to_foreground)

    def action_detach(self) -> None:
        """The person leaves the screen; the training goes on."""
        self.detached = True
        self.exit()

    def gone(self) -> None:
        """The app's loop has ended."""
        self._gone.set()

    # --- reactions

    def mark_lost(self) -> None:
        """See Reaction."""
        if self.detachable_driver is not None:
            self.detachable_driver.mark_lost()

    def lost(self, how: str) -> None:
        """See Reaction."""
        self.how_lost = how
        self._let_go_of_terminal()
        self._exit_soon()

    def terminate(self) -> None:
        """See Reaction."""
        self._training.submit(Stop(save=True))
        self._exit_soon()
        while not self._gone.wait(_PATIENCE_S):
            # A screen that is only slow, because torch is being imported say, will yet put the terminal back.
            if self.detachable_driver is not None and self.detachable_driver.is_stalled:
                self._let_go_of_terminal()
                return

    def _let_go_of_terminal(self) -> None:
        if self.detachable_driver is not None:
            self.detachable_driver.give_up()
        self._capture.abandon()

    def _exit_soon(self) -> None:
        """From any thread, also before the loop runs and after its end."""
        self._exit_wanted = True
        loop = self._loop
        if loop is not None:
            with contextlib.suppress(RuntimeError):  # closed in this very moment
                loop.call_soon_threadsafe(self.exit)

    def _return_to_foreground(self) -> None:
        if self.detachable_driver is not None:
            self.detachable_driver.return_to_foreground()

    def crashed(self, error: Exception) -> None:
        """Keep the first error of the screen for the log."""
        if not self.crash:
            self.crash = "".join(traceback.format_exception(error))

    def _handle_exception(self, error: Exception) -> None:
        """An error in a panel ends the screen, not the training. Textual would print it with all local variables."""
        self.crashed(error)
        self._return_code = 1
        self._close_messages_no_wait()
