"""What the panels show when they have the whole screen."""

from __future__ import annotations

import pytest

from tests import fakes, layer_fakes
from tests.app.conftest import Driven, panel_text


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 50)])
async def test_gradients_alone_show_the_followed_weight_and_the_critical_batch(
    driven: Driven, size: tuple[int, int]
) -> None:
    async with driven(fakes.FakeSession(layer_fakes.with_weight()), size=size) as pilot:
        await pilot.press("2")
        await pilot.pause()
        shown, beside = panel_text(pilot, "gradients"), panel_text(pilot, "statistics")
        assert "fc1.weight[50,30]" in shown
        assert "you are here: 32" in shown
        assert "The followed weight, over time" in beside
        if size != (80, 24):
            assert "Gradient variance" in beside


async def test_without_a_followed_weight_the_norm_has_the_room(driven: Driven) -> None:
    async with driven(fakes.FakeSession(fakes.training()), size=(120, 40)) as pilot:
        await pilot.press("2")
        await pilot.pause()
        assert "weight [" not in panel_text(pilot, "gradients")
        assert "followed" not in panel_text(pilot, "statistics")
