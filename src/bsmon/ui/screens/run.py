"""The run screen: turns keys into commands, dialogs and views, as the run's present state allows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType

from bsmon.core.commands import (
    ApplyAdvice,
    Command,
    DismissAdvice,
    Evaluate,
    Pause,
    Release,
    Resume,
    Save,
    ScaleBatchSize,
    Stop,
)
from bsmon.core.errors import NotApplicable
from bsmon.core.records import Level
from bsmon.core.snapshot import BatchState, RunState
from bsmon.ui.keys import KEYS
from bsmon.ui.panels.advisor import chosen_node
from bsmon.ui.screens.run_frames import RunFrames

if TYPE_CHECKING:
    from bsmon.ui.screens.quit import Leave

_ANSWER_S = 0.25  # by then a run in another process has answered, too


class RunScreen(RunFrames):
    """Panels show; this screen decides what a key does in the run's present state."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding(key.names, key.action, key.help, show=False) for key in KEYS]

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
        """Open the batch dial; it answers with commands."""
        if not self._is_trainable():
            return
        from bsmon.ui.screens.batch_size import BatchSizeScreen

        self.app.push_screen(BatchSizeScreen(self._session, self._palettes.raised), self._ask_all)

    def _ask_all(self, commands: Sequence[Command] | None) -> None:
        for command in commands or ():
            self._ask(command)

    def action_ask_learning_rate(self) -> None:
        """Open the dialog; it answers with a command or None."""
        if not self._is_trainable():
            return
        from bsmon.ui.screens.learning_rate import LearningRateScreen

        self.app.push_screen(LearningRateScreen(self._session, self._palettes.raised), self._ask_if_any)

    def _ask_if_any(self, command: Command | None) -> None:
        if command is not None:
            self._ask(command)

    def action_undo(self) -> None:
        """Ask how the last batch change is to be taken back."""
        if not self._is_trainable():
            return
        if not self._batch_is(lambda batch: batch.can_undo):
            self.tell("There is no batch change to take back.")
            return
        from bsmon.ui.screens.undo import UndoScreen

        self.app.push_screen(UndoScreen(self._session, self._palettes.raised), self._ask_if_any)

    def action_release(self) -> None:
        """Let the advisor change again what was set by hand."""
        if not self._is_trainable():
            return
        if self._batch_is(lambda batch: bool(batch.by_hand)):
            self._ask(Release())
        else:
            self.tell("Nothing is set by hand; the advisor may change everything.")

    def _batch_is(self, true: Callable[[BatchState], bool]) -> bool:
        batch = self._session.snapshot().batch
        return batch is not None and true(batch)

    def action_save(self) -> None:
        """Write a checkpoint; an event says when it is there."""
        if self._is_trainable():
            self._ask(Save())
            self.tell("A checkpoint is written after this step.")

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
        self._chosen = None
        self._watch_layers()
        self._rearrange()
        self.take_frame()

    def action_explain(self) -> None:
        """The advisor alone, with the reasons for what it recommends."""
        if self._maximised != "advisor":
            self.action_maximise("advisor")

    def action_choose(self, by: int) -> None:
        """The question of the advisor above or below; elsewhere there is nothing to choose."""
        view = self._view
        if self._maximised == "advisor" and view is not None and view.snapshot.advisor.tree:
            last = len(view.snapshot.advisor.tree) - 1
            self._chosen = min(max(0, chosen_node(view) + by), last)
            self.take_frame()

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

        self.app.push_screen(HelpScreen(self._palettes.raised, self._view))

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
