"""Running the app without a terminal."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
from textual.pilot import Pilot

from bsmon.core.ports import Session
from bsmon.ui.app import BsmonApp
from bsmon.ui.panels.panel import Panel
from bsmon.ui.themes import load_theme

Driven = Callable[..., AbstractAsyncContextManager[Pilot[None]]]


def screen_text(pilot: Pilot[None]) -> str:
    """All that stands on the top screen, line by line."""
    strips = pilot.app.screen._compositor.render_strips()  # textual shows its lines in no public way
    return "\n".join("".join(segment.text for segment in strip) for strip in strips)


def panel_text(pilot: Pilot[None], name: str) -> str:
    """What one panel shows."""
    panel = pilot.app.screen_stack[0].query_one(f"#{name}", Panel)
    return "\n".join("".join(text for text, _ in row) for row in panel._rows)


@pytest.fixture
def driven() -> Driven:
    """`async with driven(session, size) as pilot`: the app over the session, its first frame drawn."""

    @asynccontextmanager
    async def run(
        session: Session, size: tuple[int, int] = (120, 40), theme: str = "night"
    ) -> AsyncIterator[Pilot[None]]:
        app = BsmonApp(session, theme=load_theme(theme), frames_per_second=4.0)
        async with app.run_test(size=size) as pilot:
            await pilot.pause()
            yield pilot

    return run
