"""The run on the screen: places the panels and feeds them on its own clock. It knows no keys."""

from __future__ import annotations

import contextlib
import time

from textual.app import ComposeResult
from textual.layout import Layout
from textual.screen import Screen

from bsmon.core.commands import Command, WatchLayers
from bsmon.core.errors import NotApplicable
from bsmon.core.ports import Session
from bsmon.core.records import EventKind, Level
from bsmon.core.snapshot import RunState
from bsmon.ui.layout import Place, arrange
from bsmon.ui.pace import Pace
from bsmon.ui.panels.advisor import Advisor
from bsmon.ui.panels.banner import HEIGHT as BANNER_HEIGHT
from bsmon.ui.panels.banner import Banner
from bsmon.ui.panels.events import Events
from bsmon.ui.panels.footer import Footer
from bsmon.ui.panels.gradients import Gradients
from bsmon.ui.panels.hardware import Hardware, own_gpu
from bsmon.ui.panels.header import Header
from bsmon.ui.panels.layers import Layers
from bsmon.ui.panels.log import Log
from bsmon.ui.panels.loss import Loss
from bsmon.ui.panels.panel import Panel
from bsmon.ui.panels.sheet import Palettes
from bsmon.ui.panels.small import Small
from bsmon.ui.panels.statistics import Statistics
from bsmon.ui.screens.run_layout import RunLayout
from bsmon.ui.view import View

_TELLING = (EventKind.REFUSED, EventKind.BATCH, EventKind.LEARNING_RATE, EventKind.MEMORY, EventKind.CHECKPOINT)
_PANELS = (Header, Banner, Loss, Gradients, Statistics, Hardware, Advisor, Events, Layers, Log, Footer, Small)


class RunFrames(Screen[None]):
    """Takes the session's newest snapshot again and again and shows it in the panels."""

    DEFAULT_CSS = "RunFrames { overflow: hidden; background: $background; color: $foreground; }"

    def __init__(self, session: Session, palettes: Palettes, *, frames_per_second: float) -> None:
        super().__init__()
        self._session = session
        self._palettes = palettes
        self._pace = Pace(frames_per_second)
        self._layout_object = RunLayout(self._places)
        self._view: View | None = None
        self._began = time.monotonic()
        self._drawn_at = time.thread_time()
        self._arranged_for = (False, False)  # (the run has ended, it trains on a GPU)
        self._maximised = ""
        self._last_maximised = "loss"
        self._events_seen: int | None = None
        self._leaving = False
        self._log_scale = False
        self._chosen: int | None = None
        self._layers_watched = False

    @property
    def layout(self) -> Layout:
        """Our own layout in place of the style sheet's."""
        return self._layout_object

    def compose(self) -> ComposeResult:
        """All panels; the layout leaves out what has no place."""
        for kind in _PANELS:
            yield kind(self._palettes.page, id=kind.__name__.lower())

    def on_mount(self) -> None:
        """The first frame, and from then on one after the other."""
        self._tick()

    def _tick(self) -> None:
        """Draw, and choose the time of the next frame by what the last one cost."""
        now = time.thread_time()
        cost, self._drawn_at = now - self._drawn_at, now
        self.take_frame()
        self.set_timer(self._pace.next_interval(cost), self._tick)

    def take_frame(self) -> None:
        """Show the session's newest snapshot; nothing is drawn where nothing changed."""
        snapshot = self._session.snapshot()
        if snapshot.failure is not None and snapshot.failure.bad_input:
            self.app.exit()
            return
        if snapshot.state.ended and self._leaving:
            self.app.exit()
            return
        starting = snapshot.state is RunState.STARTING
        view = View(
            snapshot,
            stopping=self._leaving,
            waited_s=int(time.monotonic() - self._began) if starting else 0,
            log_scale=self._log_scale,
            maximised=self._maximised,
            chosen=self._chosen,
            drawing_share=self._pace.share,
        )
        if not view.same(self._view):
            self._show(view)

    def _show(self, view: View) -> None:
        self._view = view
        hardware = view.snapshot.hardware
        wanted = (view.state.ended, hardware is not None and own_gpu(hardware) is not None)
        if wanted != self._arranged_for:
            self._arranged_for = wanted
            self._rearrange()
        self._watch_layers()
        self._tell_events(view)
        with self.app.batch_update():
            for panel in self.query(Panel):
                panel.show(view)

    def _watch_layers(self, *, closing: bool = False) -> None:
        """Have the layers measured while their table is on the screen, and only then."""
        view = self._view
        can = view is not None and view.snapshot.batch is not None and not view.state.ended
        wanted = can and not closing and self._maximised == "layers"
        if wanted != self._layers_watched:
            self._layers_watched = wanted
            self.submit_quietly(WatchLayers(wanted))

    def submit_quietly(self, command: Command) -> None:
        """Ask for what changes nothing of the training."""
        with contextlib.suppress(NotApplicable):  # a viewer that may only look sees the last table there is
            self._session.submit(command)

    def on_unmount(self) -> None:
        """The run may outlive this screen."""
        self._watch_layers(closing=True)

    def _places(self, width: int, height: int) -> list[Place]:
        ended, gpu = self._arranged_for
        banner = BANNER_HEIGHT if ended else 0
        return arrange(width, height, maximised=self._maximised, banner=banner, gpu=gpu)

    def _rearrange(self) -> None:
        """Have the panels placed anew. Textual keeps a screen's arrangement until a child asks for another."""
        self.query_one(Header).refresh(layout=True)

    def _tell_events(self, view: View) -> None:
        """Say at the bottom what came of a command, and what went wrong; not what was before this screen."""
        events = view.snapshot.events
        seen, self._events_seen = self._events_seen, events[-1].number if events else 0
        if seen is None:
            return
        new = [event for event in events if event.number > seen]
        telling = [event for event in new if event.kind in _TELLING or event.level in (Level.WARNING, Level.ERROR)]
        if telling and not view.state.ended:
            self.tell(telling[-1].text, telling[-1].level)

    def tell(self, text: str, level: Level = Level.INFO) -> None:
        """Say something at the bottom for a few seconds."""
        self.query_one(Footer).tell(text, level)
