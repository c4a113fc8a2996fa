"""Places of the panels: never outside, never over each other, and the important ones always there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bsmon.ui.layout import PANELS, SMALLEST, arrange

SIZES = st.integers(1, 400), st.integers(1, 120)


@given(*SIZES, st.sampled_from(["", *PANELS]), st.sampled_from([0, 4]), st.booleans())
def test_places_are_inside_and_apart(width: int, height: int, maximised: str, banner: int, gpu: bool) -> None:
    taken: set[tuple[int, int]] = set()
    for place in arrange(width, height, maximised=maximised, banner=banner, gpu=gpu):
        assert place.width > 0
        assert place.height > 0
        cells = {(x, y) for y in range(place.y, place.y + place.height) for x in (place.x, place.x + place.width - 1)}
        assert all(0 <= x < width and 0 <= y < height for x, y in cells)
        assert taken.isdisjoint(cells)
        taken |= cells


@given(st.integers(SMALLEST[0], 300), st.integers(SMALLEST[1], 100), st.booleans())
def test_recommendation_memory_and_loss_are_always_there(width: int, height: int, gpu: bool) -> None:
    heights = {place.panel: place.height for place in arrange(width, height, gpu=gpu)}
    assert heights["advisor"] >= 4
    assert heights["hardware"] >= 3
    assert heights["loss"] >= 4


@pytest.mark.parametrize(("size", "columns"), [((80, 24), 1), ((99, 40), 1), ((120, 40), 2), ((200, 50), 2)])
def test_the_advisor_gets_a_column_where_there_is_room(size: tuple[int, int], columns: int) -> None:
    panels = [place for place in arrange(*size) if place.panel in ("loss", "advisor")]
    assert len({place.x for place in panels}) == columns


@pytest.mark.parametrize("size", [(59, 24), (80, 15), (1, 1)])
def test_too_small_for_panels(size: tuple[int, int]) -> None:
    assert [place.panel for place in arrange(*size)] == ["small"]


def test_a_maximised_panel_is_alone() -> None:
    assert [place.panel for place in arrange(120, 40, maximised="events")] == ["header", "footer", "events"]
