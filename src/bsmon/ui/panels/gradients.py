"""The gradient's norm as a line."""

from __future__ import annotations

from bsmon.core.snapshot import Snapshot
from bsmon.ui import numbers
from bsmon.ui.charts import Line, chart, choose_scale
from bsmon.ui.layout import PARTED
from bsmon.ui.panels.header import labelled
from bsmon.ui.panels.panel import Panel
from bsmon.ui.panels.statistics import noise_scale_text
from bsmon.ui.roles import Role, Row
from bsmon.ui.rows import heading
from bsmon.ui.scales import Scale
from bsmon.ui.view import View


class Gradients(Panel):
    """The norm's chart. Keeps its y axis from frame to frame."""

    scale: Scale | None = None

    def rows(self, view: View, width: int, height: int) -> list[Row]:
        """Heading and chart; the numbers go into the heading where there is no table beside it."""
        facts = _facts(view.snapshot) if height < PARTED[1] else []
        return [heading(2, "Gradients", facts, width), *self._chart(view, width, height - 1)]

    def _chart(self, view: View, width: int, height: int) -> list[Row]:
        series = view.snapshot.series.get("grad_norm")
        lines = [Line(series, Role.GRADIENT, band=True, bridge=True)] if series is not None else []
        self.scale = choose_scale(lines, self.scale, log=view.log_scale)
        return chart(lines, self.scale, width, height, marks=view.snapshot.marks)


def _facts(snapshot: Snapshot) -> list[Row]:
    noise, stats = snapshot.advisor.noise_scale, snapshot.gradients
    norm = None if stats is None else stats.norm
    facts = [labelled("norm", numbers.number(norm), Role.GRADIENT)]
    if stats is not None and stats.nonfinite:
        facts.append(((f"{numbers.count(stats.nonfinite)} NaN or infinite", Role.BAD),))
    facts.append(labelled("SNR", numbers.number(None if stats is None else stats.snr)))
    facts.append(labelled("noise scale", noise_scale_text(noise)))
    return facts
