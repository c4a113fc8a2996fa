"""What the panels are given for a frame: the snapshot, and the little that only the screen knows."""

from __future__ import annotations

from dataclasses import dataclass

from bsmon.core.snapshot import RunState, Snapshot


@dataclass(frozen=True, slots=True)
class View:
    """One frame's worth of facts. Equal views look equal."""

    snapshot: Snapshot
    stopping: bool = False  # the person asked for the end and the run has not ended yet
    waited_s: int = 0  # whole seconds that the run has been starting
    log_scale: bool = False
    maximised: str = ""  # the panel that stands alone
    chosen: int | None = None  # index of the advisor's question that is to be explained; None: it chooses
    drawing_share: float | None = None  # of one core, spent on this screen

    @property
    def state(self) -> RunState:
        """The run's state."""
        return self.snapshot.state

    def same(self, other: View | None) -> bool:
        """Whether nothing needs drawing. Snapshots are told apart by version: comparing thousands of numbers costs."""
        if other is None or self.snapshot.version != other.snapshot.version:
            return False
        return self._own() == other._own()

    def _own(self) -> tuple[object, ...]:
        # Not what drawing costs: that alone is no reason to draw.
        return (self.stopping, self.waited_s, self.log_scale, self.maximised, self.chosen)
