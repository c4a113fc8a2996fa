"""The gradient: its norm as a line, its statistics as the guidelines' tables have them, and the noise scale."""

from __future__ import annotations

from bsmon.core.advice import NoiseScale
from bsmon.core.records import GradientStats
from bsmon.core.snapshot import Snapshot
from bsmon.core.text import clean
from bsmon.ui import numbers
from bsmon.ui.charts import Line, chart, choose_scale
from bsmon.ui.panels.header import labelled
from bsmon.ui.panels.panel import Panel
from bsmon.ui.roles import BLANK, Role, Row
from bsmon.ui.rows import fit, heading
from bsmon.ui.scales import Scale
from bsmon.ui.view import View

_TABLE_WIDTH = 32
_TABLE_BESIDE = 64  # from this panel width on, the table stands beside the chart


class Gradients(Panel):
    """Keeps its y axis from frame to frame."""

    scale: Scale | None = None

    def rows(self, view: View, width: int, height: int) -> list[Row]:
        """Heading, the norm's chart, and a table where there is room for one."""
        snapshot = view.snapshot
        beside = width >= _TABLE_BESIDE and height >= 6
        title = heading(2, "Gradients", _facts(snapshot, folded=not beside), width)
        chart_width = width - _TABLE_WIDTH - 3 if beside else width
        drawn = self._chart(view, chart_width, height - 1)
        if not beside:
            return [title, *drawn]
        table = gradient_table(snapshot.gradients, snapshot.advisor.noise_scale, height - 1)
        table += [BLANK] * (len(drawn) - len(table))
        return [title, *((*fit(left, chart_width + 3), *right) for left, right in zip(drawn, table, strict=False))]

    def _chart(self, view: View, width: int, height: int) -> list[Row]:
        series = view.snapshot.series.get("grad_norm")
        lines = [Line(series, Role.GRADIENT, band=True, bridge=True)] if series is not None else []
        self.scale = choose_scale(lines, self.scale, log=view.log_scale)
        return chart(lines, self.scale, width, height, marks=view.snapshot.marks)


def noise_scale_text(noise: NoiseScale) -> str:
    """One of three: "not known yet", "at least N", "N [low, high]"."""
    if noise.value is not None and noise.low is not None and noise.high is not None:
        return f"{numbers.compact(_whole(noise.value))} [{_bound(noise.low)}, {_bound(noise.high)}]"
    if noise.low is not None and noise.high is None:
        return f"at least {_bound(noise.low)}"
    return "not known yet"


def gradient_table(stats: GradientStats | None, noise: NoiseScale, height: int) -> list[Row]:
    """Label and value, the most telling first."""
    known = stats or GradientStats(step=0, norm=float("nan"))
    norm = None if stats is None else stats.norm
    entries = [
        ("norm", numbers.number(norm)),
        ("SNR mean|g| / std", numbers.number(known.snr)),
        ("noise scale", noise_scale_text(noise)),
        ("mean |g|", numbers.number(known.mean_abs)),
        ("std", numbers.number(known.std)),
        ("min, max", _extremes(known)),
        ("|update| / |weight|", numbers.number(known.update_ratio)),
        ("|weight|", numbers.number(known.weight_norm)),
        ("norm after clipping", numbers.number(known.norm_after_clipping)),
        ("cosine with the last", numbers.number(known.cosine)),
    ]
    rows: list[Row] = [_entry(label, value) for label, value in entries]
    if known.nonfinite:
        rows.insert(0, ((f"{numbers.count(known.nonfinite)} NaN or infinite", Role.BAD),))
    return rows[:height]


def _extremes(stats: GradientStats) -> str:
    if stats.minimum is None or stats.maximum is None:
        return numbers.UNKNOWN
    return f"{numbers.number(stats.minimum)}, {numbers.number(stats.maximum)}"


def _entry(label: str, value: str) -> Row:
    gap = _TABLE_WIDTH - len(label) - len(value)
    return ((label + " " * max(1, gap), Role.DIM), (value, Role.DIM if value == numbers.UNKNOWN else Role.INK))


def _facts(snapshot: Snapshot, *, folded: bool) -> list[Row]:
    noise, stats = snapshot.advisor.noise_scale, snapshot.gradients
    if not folded:
        known = noise.low is not None
        return [((clean(noise.reason), Role.DIM),)] if noise.reason and not known else _estimator(noise)
    norm = None if stats is None else stats.norm
    facts = [labelled("norm", numbers.number(norm), Role.GRADIENT)]
    if stats is not None and stats.nonfinite:
        facts.append(((f"{numbers.count(stats.nonfinite)} NaN or infinite", Role.BAD),))
    facts.append(labelled("SNR", numbers.number(None if stats is None else stats.snr)))
    facts.append(labelled("noise scale", noise_scale_text(noise)))
    return facts


def _estimator(noise: NoiseScale) -> list[Row]:
    if not noise.estimator:
        return []
    biased = ", biased high" if noise.estimator == "consecutive" else ""
    return [((f"noise scale: {noise.probes} probes, {clean(noise.estimator)}{biased}", Role.DIM),)]


def _bound(value: float) -> str:
    return numbers.compact(_whole(value))


def _whole(value: float) -> float:
    """Samples are whole; what is below ten keeps its digits."""
    return float(round(value)) if value >= 10 else value
