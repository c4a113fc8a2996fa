"""The run screen's layout: `bsmon.ui.layout.arrange`, as textual wants to be told."""

from __future__ import annotations

from collections.abc import Callable

from textual.geometry import NULL_OFFSET, Region, Size, Spacing
from textual.layout import ArrangeResult, Layout, WidgetPlacement
from textual.widget import Widget

from bsmon.ui.layout import Place


class RunLayout(Layout):
    """Puts each panel into its place; a panel without one is not drawn."""

    name = "run"

    def __init__(self, places: Callable[[int, int], list[Place]]) -> None:
        self._places = places

    def arrange(
        self,
        parent: Widget,  # noqa: ARG002 - textual's signature
        children: list[Widget],
        size: Size,
        greedy: bool = True,  # noqa: ARG002 - textual's signature
    ) -> ArrangeResult:
        """Textual's question: where each child stands."""
        panels = {child.id: child for child in children}
        return [
            WidgetPlacement(
                Region(place.x, place.y, place.width, place.height), NULL_OFFSET, Spacing(), panels[place.panel]
            )
            for place in self._places(size.width, size.height)
        ]
