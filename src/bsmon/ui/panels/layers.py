"""The gradient of every layer, those that stand out most first. Measured only while it is on the screen."""

from __future__ import annotations

import math
from collections.abc import Sequence

from bsmon.core.gradients import Layer, LayerHealth, LayerTable
from bsmon.core.text import clean
from bsmon.ui import numbers
from bsmon.ui.panels.panel import Panel
from bsmon.ui.roles import Role, Row
from bsmon.ui.rows import fit, heading, paragraph, shorten_path
from bsmon.ui.view import View

_NUMBERS = 10  # cells of a number
_HEALTH = 12
_BAR = 12
_WIDE = 96  # columns from which |weight| and the number of elements are shown, too
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
        shown = [layer_row(layer, spread, width) for layer in table.layers[:room]]
        blank: list[Row] = [()] * (room - len(shown))
        return [title, _columns(width), *shown, *blank, *legend]


def _facts(table: LayerTable) -> list[Row]:
    odd = sum(layer.health is not LayerHealth.NORMAL for layer in table.layers)
    count: Row = ((f"{numbers.count(len(table.layers))} parameters", Role.DIM),)
    stands_out: Row = (
        ((f"{odd} stand{'s' * (odd == 1)} out", Role.WARNING),) if odd else (("none stands out", Role.GOOD),)
    )
    return [stands_out, count, ((f"step {numbers.count(table.step)}", Role.DIM),)]


def _name_cells(width: int) -> int:
    fixed = _BAR + 1 + 3 * _NUMBERS + _HEALTH + (2 * _NUMBERS if width >= _WIDE else 0)
    return max(10, width - fixed)


def _columns(width: int) -> Row:
    more = ("|weight|", "elements") if width >= _WIDE else ()
    labels = "".join(f"{text:>{_NUMBERS}}" for text in ("norm", "rms", "|Δ|/|w|", *more))
    return ((f"{'  parameter':<{_name_cells(width)}}{'rms':<{_BAR + 1}}{labels}", Role.DIM),)


def layer_row(layer: Layer, spread: tuple[float, float] | None, width: int) -> Row:
    """One parameter; unknown shows as n/a."""
    role = _HEALTH_ROLES[layer.health]
    is_odd = layer.health is not LayerHealth.NORMAL
    name = shorten_path(clean(layer.name), _name_cells(width) - 3)
    found = [numbers.number(layer.grad_norm), numbers.number(layer.rms), numbers.number(layer.update_ratio)]
    if width >= _WIDE:
        found += [numbers.number(layer.weight_norm), numbers.compact(layer.elements)]
    return (
        ("● " if is_odd else "  ", role),
        *fit(((name, Role.STRONG if is_odd else Role.INK),), _name_cells(width) - 2),
        *fit(_bar(layer.rms, spread, role if is_odd else Role.GRADIENT), _BAR + 1),
        ("".join(f"{text:>{_NUMBERS}}" for text in found), Role.INK),
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
