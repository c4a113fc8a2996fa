"""Running with the screen: what prints goes to the log, training starts after the first paint and outlives it all."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bsmon.cli.alone import stop_when_asked, train_on
from bsmon.cli.capture import Capture
from bsmon.cli.come_back import come_back
from bsmon.cli.ending import say
from bsmon.cli.launcher import Tether, leave_session
from bsmon.cli.serving import Serving
from bsmon.cli.terminal_watch import TerminalWatch
from bsmon.cli.training_app import TrainingApp
from bsmon.config.schema import Ui
from bsmon.core.commands import Stop
from bsmon.core.records import Level
from bsmon.core.text import clean
from bsmon.session.live import LiveSession
from bsmon.store.run_dir import RunDir
from bsmon.ui.themes import choose_theme

# After this long a person wants to know why the shell is not back.
_SILENT_S = 1.0
_LINES_EVERY_S = 5.0


def run_screen(session: LiveSession, settings: Ui, run: RunDir, tether: Tether) -> None:
    """Show the screen until the person leaves or the terminal goes; then see the training to its end.

    Raises BadInput for a theme that does not exist.
    """
    theme = choose_theme(settings.theme, os.environ)
    stop_when_asked(session)  # also between the end of the screen and that of the training
    with Serving(session, run) as serving:
        with _log(run.log_path) as log, Capture(log) as capture:
            app = TrainingApp(session, theme, settings.frames_per_second, capture, serving.start)
            _show(app, tether)
            say(app.crash, nl=False)
            if not session.started and (app.how_lost or app.crash):  # before its first frame
                serving.start()
            _without_screen(app, session, run, tether, capture)
        if app.crash and not session.ended.is_set():
            _plain_lines(session, run, app.crash)
        else:
            finish(session)


def _without_screen(app: TrainingApp, session: LiveSession, run: RunDir, tether: Tether, capture: Capture) -> None:
    """Train to the end here when the terminal has gone, or the person has left it."""
    if app.how_lost:
        session.note(f"The terminal is gone ({app.how_lost}); training goes on without it.", Level.WARNING)
        leave_session()
        train_on(session)
    elif app.detached:
        session.note("Detached; training goes on without a screen.")
        capture.say(f"bsmon: training goes on as process {os.getpid()}. {come_back(run)}")
        capture.abandon()
        tether.let_go()
        train_on(session)


def finish(session: LiveSession) -> None:
    """Wait for the training thread: ending the program under it would abort it in the middle of a step."""
    if session.ended.is_set() or not session.started:
        return
    session.submit(Stop())
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if not session.ended.wait(_SILENT_S):
        say("bsmon: finishing the step and saving a checkpoint (Ctrl-C ends at once, without)")
        session.ended.wait()


def _show(app: TrainingApp, tether: Tether) -> None:
    with TerminalWatch(0, tether.descriptor, app):
        try:
            app.run(mouse=False)
        except Exception as error:  # noqa: BLE001  whatever is wrong with the screen, the training goes on
            app.crashed(error)
        finally:
            app.gone()


def _plain_lines(session: LiveSession, run: RunDir, crash: str) -> None:
    """The screen failed: stay in the foreground with plain lines, so that the exit status is still the run's."""
    what = clean(crash.strip().splitlines()[-1])
    session.note(f"The screen failed ({what}); training goes on. The traceback is in {run.log_path.name}.", Level.ERROR)
    say(f"bsmon: the screen failed: {what}")
    say(f"bsmon: training goes on, in plain lines; Ctrl-C stops it. {come_back(run)}")
    from bsmon.cli.plain import follow

    follow(session, interval_s=_LINES_EVERY_S, as_json=False)


@contextmanager
def _log(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
