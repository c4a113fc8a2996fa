"""The run screen over a recording: the same panels, and keys that move through the run's time."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import ClassVar, Protocol

from rich.style import Style
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widget import Widget

from bsmon.core.ports import Session
from bsmon.core.records import Level
from bsmon.ui import numbers
from bsmon.ui.panels.footer import Footer
from bsmon.ui.panels.sheet import Palettes
from bsmon.ui.roles import Role, Row
from bsmon.ui.rows import joined
from bsmon.ui.screens.run import RunScreen
from bsmon.ui.view import View

_FRAME_S = 0.25
_WHOLE_RUN_S = 30.0  # how long playing the whole run takes, to begin with
_MOST_SPEED, _LEAST_SPEED = 2.0**20, 2.0**-4
_HINTS = (("← →", "1 %"), ("pgup pgdn", "10 %"), ("home end", ""), ("space", "play"), ("< >", "speed"), ("q", "quit"))


class Recording(Session, Protocol):
    """A session with a cursor, told by the updates made until there."""

    @property
    def total(self) -> int:
        """Updates in the whole recording."""
        ...

    @property
    def cursor(self) -> int:
        """Updates up to what is shown."""
        ...

    @property
    def elapsed_s(self) -> float:
        """Seconds of the run up to what is shown."""
        ...

    def seek(self, updates: int) -> None:
        """Show another place."""
        ...


class ReplayFooter(Footer):
    """The bottom line: where the cursor is, and the keys that move it."""

    def __init__(self, styles: Mapping[str, Style], *, id: str, place: Callable[[], Row]) -> None:  # noqa: A002 - textual's own name
        super().__init__(styles, id=id)
        self._place = place

    def rows(self, view: View, width: int, height: int) -> list[Row]:
        """One row."""
        if self.notice is not None:
            return super().rows(view, width, height)
        hints: list[Row] = [((key, Role.KEY), (f" {text}" if text else "", Role.DIM)) for key, text in _HINTS]
        return [((" ", Role.INK), *joined([self._place(), *hints], width - 2, "  "))]


class ReplayScreen(RunScreen):
    """Opens at the end of the run. What would change a run is refused by the recording itself."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "move(-0.01)", "back by 1 % of the run", show=False),
        Binding("right", "move(0.01)", "on by 1 % of the run", show=False),
        Binding("pageup", "move(-0.1)", "back by 10 %", show=False),
        Binding("pagedown", "move(0.1)", "on by 10 %", show=False),
        Binding("shift+left", "move_updates(-1)", "back by one update", show=False),
        Binding("shift+right", "move_updates(1)", "on by one update", show=False),
        Binding("home", "move(-1.0)", "the beginning", show=False),
        Binding("end", "move(1.0)", "the end", show=False),
        Binding("less_than_sign,comma", "speed(0.5)", "play at half the speed", show=False),
        Binding("greater_than_sign,full_stop", "speed(2.0)", "play at twice the speed", show=False),
    ]

    def __init__(self, recording: Recording, palettes: Palettes, *, frames_per_second: float) -> None:
        super().__init__(recording, palettes, frames_per_second=frames_per_second)
        self._recording = recording
        self._pages = palettes.page
        self._run_s = max(recording.elapsed_s, 1e-3)
        self._speed = 2.0 ** max(0, round(math.log2(self._run_s / _WHOLE_RUN_S)))
        self._playing = False

    def compose(self) -> ComposeResult:
        """The panels, with a bottom line of our own."""
        for panel in super().compose():
            yield self._own(panel)

    def on_mount(self) -> None:
        """Frames as always, and the recording's own clock."""
        super().on_mount()
        self.set_interval(_FRAME_S, self._play_on)

    def action_move(self, share: float) -> None:
        """Move the cursor by a share of the whole run."""
        self.action_move_updates(round(share * self._recording.total) or int(math.copysign(1, share)))

    def action_move_updates(self, updates: int) -> None:
        """Move the cursor by so many updates."""
        self._recording.seek(min(max(0, self._recording.cursor + updates), self._recording.total))
        self.take_frame()

    def action_speed(self, factor: float) -> None:
        """Play faster or slower."""
        self._speed = min(max(_LEAST_SPEED, self._speed * factor), _MOST_SPEED)
        self.tell(f"speed x{self._speed:g}")

    def action_pause(self) -> None:
        """Play, and stop playing; at the end it begins again."""
        self._playing = not self._playing
        if self._playing and self._recording.cursor >= self._recording.total:
            self._recording.seek(0)
        self.take_frame()

    def _is_trainable(self) -> bool:
        self.tell("This is a recording: nothing of the run can be changed.", Level.WARNING)
        return False

    def _watch_layers(self, *, closing: bool = False) -> None:
        """Nothing more can be measured: what was, is shown."""

    def action_quit(self) -> None:
        """Leave at once: there is no training to end."""
        self.app.exit()

    def _play_on(self) -> None:
        if not self._playing:
            return
        self.action_move_updates(max(1, round(self._recording.total * self._speed * _FRAME_S / self._run_s)))
        self._playing = self._recording.cursor < self._recording.total

    def _own(self, panel: Widget) -> Widget:
        return ReplayFooter(self._pages, id="footer", place=self._place) if isinstance(panel, Footer) else panel

    def _place(self) -> Row:
        recording = self._recording
        mark = f"▶ x{self._speed:g}" if self._playing else "recording"
        where = f"{numbers.duration(recording.elapsed_s)}, update {recording.cursor:,} of {recording.total:,}"
        return ((mark, Role.ACCENT), (f" {where}", Role.INK))
