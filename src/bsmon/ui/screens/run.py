"""The run screen: places the panels, feeds them on its own clock, and turns keys into commands."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.layout import Layout
from textual.screen import Screen

from bsmon.core.commands import ApplyAdvice, Command, DismissAdvice, Evaluate, Pause, Resume, ScaleBatchSize, Stop
from bsmon.core.errors import NotApplicable
from bsmon.core.ports import Session
from bsmon.core.records import EventKind, Level
from bsmon.core.snapshot import RunState
from bsmon.ui.keys import KEYS
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
from bsmon.ui.panels.loss import Loss
from bsmon.ui.panels.panel import Panel
from bsmon.ui.panels.sheet import Palettes
from bsmon.ui.panels.small import Small
from bsmon.ui.panels.statistics import Statistics
from bsmon.ui.screens.run_layout import RunLayout
from bsmon.ui.view import View

if TYPE_CHECKING:
    from bsmon.ui.screens.quit import Leave

_ANSWER_S = 0.25  # by then a run in another process has answered, too
_TELLING = (EventKind.REFUSED, EventKind.BATCH, EventKind.LEARNING_RATE, EventKind.MEMORY, EventKind.CHECKPOINT)
_PANELS = (Header, Banner, Loss, Gradients, Statistics, Hardware, Advisor, Events, Footer, Small)


class RunScreen(Screen[None]):
    """Panels show; this screen decides what a key does in the run's present state."""

    DEFAULT_CSS = "RunScreen { overflow: hidden; background: $background; color: $foreground; }"
    BINDINGS: ClassVar[list[BindingType]] = [Binding(key.names, key.action, key.help, show=False) for key in KEYS]

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

    # --- frames

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
        self._tell_events(view)
        with self.app.batch_update():
            for panel in self.query(Panel):
                panel.show(view)

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

    # --- keys

    def _ask(self, command: Command) -> None:
        """Submit, and show at once that it was asked for, or why it cannot be."""
        try:
            self._session.submit(command)
        except NotApplicable as reason:
            self.tell(str(reason), Level.WARNING)
        self.take_frame()
        self.set_timer(_ANSWER_S, self.take_frame)

    def _is_trainable(self) -> bool:
        """Whether commands make sense now; says so where they do not."""
        if self._view is None:
            return False
        if self._view.state.ended:
            self.tell("The run has ended; q quits.", Level.WARNING)
            return False
        if self._view.snapshot.batch is None:
            self.tell(f"Not yet: {self._view.snapshot.waiting_for or 'the run is starting'}.", Level.WARNING)
            return False
        return True

    def action_scale_batch(self, factor: float) -> None:
        """Double or halve."""
        if self._is_trainable():
            self._ask(ScaleBatchSize(factor))

    def action_ask_batch_size(self) -> None:
        """Open the dialog; it answers with a command or None."""
        if not self._is_trainable():
            return
        from bsmon.ui.screens.batch_size import BatchSizeScreen

        self.app.push_screen(BatchSizeScreen(self._session, self._palettes.raised), self._ask_if_any)

    def _ask_if_any(self, command: Command | None) -> None:
        if command is not None:
            self._ask(command)

    def action_pause(self) -> None:
        """Pause, or go on."""
        if self._is_trainable() and self._view is not None:
            self._ask(Resume() if self._view.state is RunState.PAUSED else Pause())

    def action_apply_advice(self) -> None:
        """Do what is recommended."""
        if self._is_trainable() and self._has_advice():
            self._ask(ApplyAdvice())

    def action_dismiss_advice(self) -> None:
        """Not now."""
        if self._is_trainable() and self._has_advice():
            self._ask(DismissAdvice())

    def _has_advice(self) -> bool:
        if self._view is not None and self._view.snapshot.advisor.advice is not None:
            return True
        self.tell("There is no advice yet.")
        return False

    def action_evaluate(self) -> None:
        """Run the validation set."""
        if self._is_trainable():
            self._ask(Evaluate())
            self.tell("The validation set runs after this step.")

    def action_toggle_log(self) -> None:
        """Logarithmic charts and back."""
        self._log_scale = not self._log_scale
        self.take_frame()

    def action_maximise(self, panel: str) -> None:
        """One panel alone, or all again when it stands alone already."""
        self._maximised = "" if self._maximised == panel else panel
        self._last_maximised = panel
        self._rearrange()

    def action_maximise_last(self) -> None:
        """The last maximised panel, and back."""
        self.action_maximise(self._maximised or self._last_maximised)

    def action_restore(self) -> None:
        """All panels."""
        if self._maximised:
            self.action_maximise(self._maximised)

    def action_help(self) -> None:
        """The key table."""
        from bsmon.ui.screens.help import HelpScreen

        self.app.push_screen(HelpScreen(self._palettes.raised))

    def action_quit(self) -> None:
        """Leave at once when the run has ended, else ask."""
        if self._view is None or self._view.state.ended:
            self.app.exit()
            return
        from bsmon.ui.screens.quit import QuitScreen

        self.app.push_screen(QuitScreen(self._palettes.raised, stopping=self._leaving), self._quit)

    def _quit(self, choice: Stop | Leave | None) -> None:
        if isinstance(choice, Stop):
            self._leaving = True
            self._ask(choice)
        elif choice is not None:
            self.app.exit()
