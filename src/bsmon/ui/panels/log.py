"""What the person's code and the libraries printed: the end of the run's log, followed while it is on the screen."""

from __future__ import annotations

from pathlib import Path

from bsmon.ui.log_tail import LogTail
from bsmon.ui.panels.panel import Panel
from bsmon.ui.roles import Role, Row
from bsmon.ui.rows import heading, shorten, shorten_path
from bsmon.ui.view import View

_LOOK_EVERY_S = 0.5


class Log(Panel):
    """Reads the file only while it is shown."""

    _tail: LogTail | None = None

    def on_mount(self) -> None:
        """The file grows without the run's telling."""
        self.set_interval(_LOOK_EVERY_S, self.draw)

    def rows(self, view: View, width: int, height: int) -> list[Row]:
        """Heading and the newest lines, at the bottom as in a terminal."""
        tail = self._open(view.snapshot.run.run_dir)
        if tail is None:
            nothing: Row = (("This run keeps no log: it has no folder of its own.", Role.DIM),)
            return [heading("o", "Log", [], width), nothing]
        path: Row = ((shorten_path(str(tail.path), width - 12), Role.DIM),)
        title = heading("o", "Log", [path], width)
        if tail.problem:
            return [title, ((shorten(tail.problem, width), Role.WARNING),)]
        shown = tail.lines[-(height - 1) :] if height > 1 else ()
        if not shown:
            return [title, (("nothing printed so far", Role.DIM),)]
        return [title, *(((shorten(line, width), Role.INK),) for line in shown)]

    def on_hide(self) -> None:
        """Nobody looks."""
        self._close()

    def on_unmount(self) -> None:
        """The screen is closed."""
        self._close()

    def _open(self, run_dir: str) -> LogTail | None:
        if not run_dir:
            return None
        path = Path(run_dir) / "log.txt"
        if self._tail is None or self._tail.path != path:
            self._close()
            self._tail = LogTail(path)
            self._tail.open()
        return self._tail

    def _close(self) -> None:
        if self._tail is not None:
            self._tail.close()
            self._tail = None
