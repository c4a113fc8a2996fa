"""The gradient's statistics as the guidelines' tables have them, and the noise scale.

A panel of its own beside the chart: textual repaints a panel's line from its left edge, and these numbers change with
every frame.
"""

from __future__ import annotations

from bsmon.core.advice import NoiseScale
from bsmon.core.records import GradientStats
from bsmon.core.text import clean
from bsmon.ui import numbers
from bsmon.ui.gradient_rows import entry, extremes, variance_rows, weight_rows
from bsmon.ui.panels.panel import Panel
from bsmon.ui.roles import Role, Row
from bsmon.ui.rows import row_width, shorten
from bsmon.ui.view import View

_GUTTER = 3


class Statistics(Panel):
    """Goes on with the rule of the gradients' heading."""

    def rows(self, view: View, width: int, height: int) -> list[Row]:
        """How the noise scale was measured, then the table; what else is known where there is room."""
        stats, noise = view.snapshot.gradients, view.snapshot.advisor.noise_scale
        said = _estimator(noise, width - 2)
        rule = "─" * (width - row_width(said))
        inner = width - _GUTTER
        table = gradient_table(stats, noise, inner)
        for more in (weight_rows(view.snapshot.probed_weight, inner), variance_rows(view.snapshot)):
            if len(table) + len(more) < height:
                table += more
        table = table[: height - 1]
        return [((rule, Role.RULE), *said), *(((" " * _GUTTER, Role.INK), *row) for row in table)]


def noise_scale_text(noise: NoiseScale) -> str:
    """One of three: "not known yet", "at least N", "N [low, high]"."""
    if noise.value is not None and noise.low is not None and noise.high is not None:
        return f"{numbers.compact(_whole(noise.value))} [{_bound(noise.low)}, {_bound(noise.high)}]"
    if noise.low is not None and noise.high is None:
        return f"at least {_bound(noise.low)}"
    return "not known yet"


def gradient_table(stats: GradientStats | None, noise: NoiseScale, width: int) -> list[Row]:
    """Label and value, the most telling first."""
    known = stats or GradientStats(step=0, norm=float("nan"))
    norm = None if stats is None else stats.norm
    entries = [
        ("norm", numbers.number(norm)),
        ("SNR mean|g| / std", numbers.number(known.snr)),
        ("noise scale", noise_scale_text(noise)),
        ("mean |g|", numbers.number(known.mean_abs)),
        ("std", numbers.number(known.std)),
        ("min, max", extremes(known.minimum, known.maximum)),
        ("|update| / |weight|", numbers.number(known.update_ratio)),
        ("|weight|", numbers.number(known.weight_norm)),
        ("norm after clipping", numbers.number(known.norm_after_clipping)),
        ("cosine with the last", numbers.number(known.cosine)),
    ]
    rows: list[Row] = [entry(label, value, width) for label, value in entries]
    if known.nonfinite:
        rows.insert(0, ((f"{numbers.count(known.nonfinite)} NaN or infinite", Role.BAD),))
    return rows


def _estimator(noise: NoiseScale, width: int) -> Row:
    """Why the noise scale is not known, or what it was measured with."""
    text = noise.reason if noise.low is None else ""
    if not text and noise.estimator:
        biased = ", biased high" if noise.estimator == "consecutive" else ""
        text = f"{noise.probes} probes, {noise.estimator}{biased}"
    return ((f" {shorten(clean(text), width)}", Role.DIM),) if text else ()


def _bound(value: float) -> str:
    return numbers.compact(_whole(value))


def _whole(value: float) -> float:
    """Samples are whole; what is below ten keeps its digits."""
    return float(round(value)) if value >= 10 else value
