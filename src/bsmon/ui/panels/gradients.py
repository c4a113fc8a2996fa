"""The gradient's norm as a line; where there is room, the followed weight's path and the critical batch size."""

from __future__ import annotations

from bsmon.core.snapshot import Snapshot
from bsmon.core.text import clean
from bsmon.ui import batch_axis, numbers
from bsmon.ui.charts import Line, chart, choose_scale
from bsmon.ui.layout import PARTED
from bsmon.ui.panels.header import labelled
from bsmon.ui.panels.panel import Panel
from bsmon.ui.panels.statistics import noise_scale_text
from bsmon.ui.roles import BLANK, Role, Row
from bsmon.ui.rows import heading, shorten, spread
from bsmon.ui.scales import Scale
from bsmon.ui.view import View

_ROOM_FOR_WEIGHT = 10  # rows below the heading
_ROOM_FOR_AXIS = 15


class Gradients(Panel):
    """The charts keep their y axes from frame to frame."""

    scale: Scale | None = None
    weight_scale: Scale | None = None

    def rows(self, view: View, width: int, height: int) -> list[Row]:
        """Heading and charts; the numbers go into the heading where there is no table beside it."""
        facts = _facts(view.snapshot) if height < PARTED[1] else []
        room = height - 1
        axis = _axis(view.snapshot, width) if room >= _ROOM_FOR_AXIS else []
        room -= len(axis)
        weight = self._weight(view, width, room * 2 // 5) if room >= _ROOM_FOR_WEIGHT else []
        room -= len(weight)
        return [heading(2, "Gradients", facts, width), *self._norm(view, width, room), *weight, *axis]

    def _norm(self, view: View, width: int, height: int) -> list[Row]:
        series = view.snapshot.series.get("grad_norm")
        lines = [Line(series, Role.GRADIENT, band=True, bridge=True)] if series is not None else []
        self.scale = choose_scale(lines, self.scale, log=view.log_scale)
        return chart(lines, self.scale, width, height, marks=view.snapshot.marks)

    def _weight(self, view: View, width: int, height: int) -> list[Row]:
        """The path of the weight that the person follows: the guidelines' zig-zag (C, part 3)."""
        series, probed = view.snapshot.series.get("probed_weight"), view.snapshot.probed_weight
        if series is None or probed is None:
            return []
        lines = [Line(series, Role.SMOOTHED, band=True, bridge=True)]
        self.weight_scale = choose_scale(lines, self.weight_scale)
        value = labelled("weight", numbers.number(probed.value), Role.SMOOTHED)
        name: Row = ((shorten(clean(probed.name), width - 18), Role.DIM),)
        marks = view.snapshot.marks
        return [spread(name, value, width), *chart(lines, self.weight_scale, width, height - 1, marks=marks)]


def _axis(snapshot: Snapshot, width: int) -> list[Row]:
    if snapshot.batch is None:
        return []
    rows = batch_axis.batch_axis(snapshot.advisor.noise_scale, snapshot.batch.batch_size, width)
    return [BLANK, *rows] if rows else []


def _facts(snapshot: Snapshot) -> list[Row]:
    noise, stats = snapshot.advisor.noise_scale, snapshot.gradients
    norm = None if stats is None else stats.norm
    facts = [labelled("norm", numbers.number(norm), Role.GRADIENT)]
    if stats is not None and stats.nonfinite:
        facts.append(((f"{numbers.count(stats.nonfinite)} NaN or infinite", Role.BAD),))
    facts.append(labelled("SNR", numbers.number(None if stats is None else stats.snr)))
    facts.append(labelled("noise scale", noise_scale_text(noise)))
    return facts
