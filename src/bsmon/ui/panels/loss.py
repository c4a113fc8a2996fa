"""The loss: of each batch, smoothed, and on the validation set, with a mark at every batch change."""

from __future__ import annotations

from bsmon.core.snapshot import RunState, Snapshot
from bsmon.core.text import clean
from bsmon.ui import numbers
from bsmon.ui.charts import Line, chart, choose_scale
from bsmon.ui.panels.panel import Panel
from bsmon.ui.roles import Role, Row
from bsmon.ui.rows import centred, heading
from bsmon.ui.scales import Scale
from bsmon.ui.view import View

_LINES = (
    ("loss", Role.RAW, True, False),
    ("loss_smoothed", Role.SMOOTHED, False, False),
    ("validation_loss", Role.VALIDATION, False, True),
)


class Loss(Panel):
    """Keeps its y axis from frame to frame, so that the picture does not jump."""

    scale: Scale | None = None

    def rows(self, view: View, width: int, height: int) -> list[Row]:
        """Heading and chart; words in the middle while there is no loss yet."""
        lines = loss_lines(view.snapshot)
        title = heading(1, "Loss (log)" if view.log_scale else "Loss", _facts(view.snapshot), width)
        self.scale = choose_scale(lines, self.scale, log=view.log_scale)
        if self.scale is None:
            return [title, *_waiting(view, width, height - 1)]
        drawn = chart(lines, self.scale, width, height - 1, marks=view.snapshot.marks, unit=" step")
        return [title, *drawn]


def loss_lines(snapshot: Snapshot) -> list[Line]:
    """What is drawn, from the back to the front."""
    found = snapshot.series
    return [Line(found[name], role, band, bridge) for name, role, band, bridge in _LINES if name in found]


def _facts(snapshot: Snapshot) -> list[Row]:
    facts: list[Row] = []
    for name, label, role in (("loss_smoothed", "smoothed", Role.SMOOTHED), ("loss", "batch", Role.RAW)):
        if name in snapshot.series:
            facts.append(
                (("━ ", role), (f"{label} ", Role.DIM), (numbers.number(snapshot.series[name].last), Role.INK))
            )
    evaluation = snapshot.evaluation
    if evaluation is not None:
        value = numbers.number(evaluation.loss)
        facts.insert(1, (("━ ", Role.VALIDATION), ("validation ", Role.DIM), (value, Role.INK)))
        if evaluation.accuracy is not None:
            facts.insert(2, (("accuracy ", Role.DIM), (f"{evaluation.accuracy * 100:.1f} %", Role.INK)))
    return facts


def _waiting(view: View, width: int, height: int) -> list[Row]:
    """In place of a chart: what the run waits for."""
    if view.state is not RunState.STARTING:
        return [()] * (height // 2) + [centred((("no loss yet", Role.DIM),), width)]
    what = clean(view.snapshot.waiting_for) or "starting"
    words: list[Row] = [
        ((what, Role.STRONG), (f"  {view.waited_s} s", Role.DIM)),
        (("training begins by itself", Role.DIM),),
    ]
    return [()] * max(0, height // 2 - 1) + [centred(row, width) for row in words]
