"""Where the panels stand, as a pure function of the terminal's size."""

from __future__ import annotations

from dataclasses import dataclass, replace

SMALLEST = (60, 16)
"""Columns and rows below which one plain panel takes the place of all."""

PARTED = (50, 6)
"""Columns and rows from which the gradients' numbers stand in a table beside the chart. None is narrower."""

PANELS = ("loss", "gradients", "statistics", "hardware", "advisor", "events")

_TWO_COLUMNS = (100, 26)  # columns and rows from which the advisor gets a column of its own
_TABLE_WIDTH = 35
_HEADER, _FOOTER, _GUTTER = 2, 1, 2


@dataclass(frozen=True, slots=True)
class Place:
    """A panel's rectangle, in cells from the screen's top left corner."""

    panel: str
    x: int
    y: int
    width: int
    height: int


def arrange(width: int, height: int, *, maximised: str = "", banner: int = 0, gpu: bool = False) -> list[Place]:
    """Places for a terminal of this size. `banner`: rows to keep free for it below the header; `gpu`: the hardware
    panel has a GPU to show.

    A panel that has no room is absent; no two places overlap and none leaves the screen.
    """
    if width < SMALLEST[0] or height < SMALLEST[1]:
        return [Place("small", 0, 0, max(1, width), max(1, height))]
    top = _HEADER + banner
    room = height - top - _FOOTER
    frame = [Place("header", 0, 0, width, _HEADER), Place("footer", 0, height - _FOOTER, width, _FOOTER)]
    if banner:
        frame.append(Place("banner", 0, _HEADER, width, banner))
    inner = width - 2
    if maximised:
        return [*frame, *_with_statistics([Place(maximised, 1, top, inner, room)])]
    if width >= _TWO_COLUMNS[0] and height >= _TWO_COLUMNS[1]:
        right = min(90, max(44, inner * 2 // 5))
        left = inner - right - _GUTTER
        return [
            *frame,
            *_with_statistics(_stack(1, top, left, _left_heights(room, gpu=gpu))),
            Place("advisor", 1 + left + _GUTTER, top, right, room),
        ]
    return [*frame, *_with_statistics(_stack(1, top, inner, _single_heights(room)))]


def _stack(x: int, y: int, width: int, heights: dict[str, int]) -> list[Place]:
    places = []
    for panel, rows in heights.items():
        if rows > 0:
            places.append(Place(panel, x, y, width, rows))
            y += rows
    return places


def _with_statistics(places: list[Place]) -> list[Place]:
    """Part the gradients' place, where it is large enough, into chart and table."""
    parted = []
    for place in places:
        if place.panel == "gradients" and place.width >= PARTED[0] and place.height >= PARTED[1]:
            chart = place.width - _TABLE_WIDTH
            parted.append(replace(place, width=chart))
            parted.append(replace(place, panel="statistics", x=place.x + chart, width=_TABLE_WIDTH))
        else:
            parted.append(place)
    return parted


def _left_heights(room: int, *, gpu: bool) -> dict[str, int]:
    """Loss takes what the others leave: about half."""
    hardware = min(8 if gpu else 6, max(5, room // 5))
    gradients = max(4, min(12, room * 9 // 37))
    events = max(3, min(10, room // 6))
    return {
        "loss": room - hardware - gradients - events,
        "gradients": gradients,
        "hardware": hardware,
        "events": events,
    }


def _single_heights(room: int) -> dict[str, int]:
    """One column: the recommendation and the memory bar stay, then loss, then the rest as room allows."""
    advisor, hardware = 5 if room >= 20 else 4, 3
    if room >= 34:  # tall and narrow: room for the tree
        advisor, hardware = 7 + (room - 26) // 2, 6
    events = 1 if room >= 18 else 0
    if room >= 30:
        events = 4
    left = room - advisor - hardware - events
    gradients = 0 if left < 7 else max(3, left // 4)
    return {
        "loss": left - gradients,
        "gradients": gradients,
        "hardware": hardware,
        "advisor": advisor,
        "events": events,
    }
