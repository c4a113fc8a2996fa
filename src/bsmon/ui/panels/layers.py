"""The gradient of every layer, those that stand out most first. Measured only while it is on the screen."""

from __future__ import annotations

import math
from collections.abc import Sequence

from bsmon.core.gradients import Layer, LayerHealth, LayerTable, Spread
from bsmon.core.text import clean
from bsmon.ui import numbers
from bsmon.ui.panels.panel import Panel
from bsmon.ui.roles import Role, Row
from bsmon.ui.rows import fit, heading, paragraph, shorten_path
from bsmon.ui.view import View

_NUMBERS = 10  # cells of a number
_HEALTH = 12
_BAR = 12
_SIGN = 2
_NAME = 24  # cells of a name that a further number may not take
_LABELS = ("norm", "rms", "|Δ|/|w|", "|weight|", "SNR", "elements", "mean |g|", "std", "min", "max")
_LEAST = 3
_HEALTH_ROLES = {
    LayerHealth.NORMAL: Role.DIM,
    LayerHealth.VANISHING: Role.WARNING,
    LayerHealth.EXPLODING: Role.BAD,
    LayerHealth.NONFINITE: Role.BAD,
    LayerHealth.ABSENT: Role.WARNING,
}
_LEGEND = (
    "rms: norm / square root of the elements, which compares across sizes; the bar is its place between the least and "
    "the greatest, by powers of ten."
)


class Layers(Panel):
    """A table; as many rows as there is room for."""

    def rows(self, view: View, width: int, height: int) -> list[Row]:
        """Heading, columns, layers, and what the columns mean."""
        table = view.snapshot.layers
        if table is None:
            text = "no layers were measured" if view.state.ended else "measuring …"
            return [heading("g", "Layers", [], width), ((text, Role.DIM),)]
        title = heading("g", "Layers", _facts(table), width)
        legend = paragraph(_LEGEND, width, Role.DIM, lines=2) if height >= 12 else []
        room = max(1, height - 2 - len(legend))
        spread = rms_range(table.layers)
        name_cells, count = _columns(table, width)
        shown = [layer_row(layer, spread, name_cells, count) for layer in table.layers[:room]]
        blank: list[Row] = [()] * (room - len(shown))
        return [title, _labels(name_cells, count), *shown, *blank, *legend]


def _facts(table: LayerTable) -> list[Row]:
    odd = sum(layer.health is not LayerHealth.NORMAL for layer in table.layers)
    count: Row = ((f"{numbers.count(len(table.layers))} parameters", Role.DIM),)
    stands_out: Row = (
        ((f"{odd} stand{'s' * (odd == 1)} out", Role.WARNING),) if odd else (("none stands out", Role.GOOD),)
    )
    return [stands_out, count, ((f"step {numbers.count(table.step)}", Role.DIM),)]


def _columns(table: LayerTable, width: int) -> tuple[int, int]:
    """(cells of a name, columns of numbers): as many as there is room for beside the names, three at least."""
    longest = max((len(layer.name) for layer in table.layers), default=0) + _SIGN + 2
    fixed = _BAR + 1 + _HEALTH
    wanted = min(longest, max(_NAME, width - fixed - len(_LABELS) * _NUMBERS))
    count = min(len(_LABELS), max(_LEAST, (width - fixed - wanted) // _NUMBERS))
    return min(longest, max(10, width - fixed - count * _NUMBERS)), count


def _labels(name_cells: int, count: int) -> Row:
    labels = "".join(f"{text:>{_NUMBERS}}" for text in _LABELS[:count])
    return ((f"{'  parameter':<{name_cells}}{'rms':<{_BAR + 1}}{labels}", Role.DIM),)


def _numbers(layer: Layer) -> list[str]:
    """As `_LABELS` has them."""
    spread = layer.spread or Spread(None, None, None, None, None)
    found = (layer.grad_norm, layer.rms, layer.update_ratio, layer.weight_norm, spread.snr)
    more = (spread.mean_abs, spread.std, spread.minimum, spread.maximum)
    return [*map(numbers.number, found), numbers.compact(layer.elements), *map(numbers.number, more)]


def layer_row(layer: Layer, spread: tuple[float, float] | None, name_cells: int, count: int) -> Row:
    """One parameter with so many of its numbers; unknown shows as n/a."""
    role = _HEALTH_ROLES[layer.health]
    is_odd = layer.health is not LayerHealth.NORMAL
    name = shorten_path(clean(layer.name), name_cells - _SIGN - 1)
    return (
        ("● " if is_odd else "  ", role),
        *fit(((name, Role.STRONG if is_odd else Role.INK),), name_cells - _SIGN),
        *fit(_bar(layer.rms, spread, role if is_odd else Role.GRADIENT), _BAR + 1),
        ("".join(f"{text:>{_NUMBERS}}" for text in _numbers(layer)[:count]), Role.INK),
        (f"  {layer.health.value}" if is_odd else "", role),
    )


def rms_range(layers: Sequence[Layer]) -> tuple[float, float] | None:
    """The least and the greatest finite rms above 0; None where there is none."""
    found = [layer.rms for layer in layers if layer.rms is not None and math.isfinite(layer.rms) and layer.rms > 0]
    return (min(found), max(found)) if found else None


def _bar(rms: float | None, spread: tuple[float, float] | None, role: Role) -> Row:
    if rms is None or spread is None or not math.isfinite(rms) or rms <= 0:
        return ()
    low, high = spread
    share = 1.0 if high <= low else math.log(rms / low) / math.log(high / low)
    cells = 1 + round(share * (_BAR - 1))
    return (("━" * cells, role),)
