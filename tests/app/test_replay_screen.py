"""The screen over a recording: its cursor, playing, and that nothing of the past can be changed."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from textual.pilot import Pilot

from bsmon.core.commands import Command
from bsmon.core.snapshot import Snapshot
from bsmon.ui.replay_app import ReplayApp
from bsmon.ui.themes import load_theme
from tests import fakes
from tests.app.conftest import panel_text, screen_text


class Recording:
    """200 updates in 100 seconds; shows how far it is."""

    total = 200

    def __init__(self) -> None:
        self.cursor = self.total
        self.version = 0
        self.submitted: list[Command] = []

    @property
    def elapsed_s(self) -> float:
        return self.cursor / 2

    def seek(self, updates: int) -> None:
        self.cursor = updates
        self.version += 1

    def snapshot(self) -> Snapshot:
        scene = fakes.finished() if self.cursor == self.total else fakes.training(max(1, self.cursor))
        return dataclasses.replace(scene, version=100 + self.version)

    def submit(self, command: Command) -> None:
        self.submitted.append(command)


@asynccontextmanager
async def shown(recording: Recording, size: tuple[int, int] = (120, 40)) -> AsyncIterator[Pilot[None]]:
    app = ReplayApp(recording, theme=load_theme("night"))
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        yield pilot


@pytest.mark.parametrize(
    ("keys", "cursor"),
    [
        ((), 200),
        (("left",), 198),
        (("left", "left", "right"), 198),
        (("home",), 0),
        (("home", "left"), 0),
        (("home", "right"), 2),
        (("home", "shift+right"), 1),
        (("home", "pagedown", "pagedown", "pageup"), 20),
        (("home", "end"), 200),
        (("end", "right"), 200),
    ],
)
async def test_keys_move_the_cursor(keys: tuple[str, ...], cursor: int) -> None:
    recording = Recording()
    async with shown(recording) as pilot:
        await pilot.press(*keys)
        await pilot.pause()
        assert recording.cursor == cursor
        assert f"update {cursor} of 200" in panel_text(pilot, "footer")


async def test_what_is_shown_is_the_place_of_the_cursor() -> None:
    async with shown(Recording()) as pilot:
        assert "finished" in screen_text(pilot)
        await pilot.press("home", "pagedown")
        await pilot.pause()
        assert "training" in panel_text(pilot, "header")
        assert "step 20" in panel_text(pilot, "header")


async def test_playing_goes_on_from_the_beginning_to_the_end() -> None:
    recording = Recording()
    async with shown(recording) as pilot:
        await pilot.press("space")
        assert recording.cursor < recording.total // 2  # on a busy machine it has begun to move by now
        assert "▶" in panel_text(pilot, "footer")
        await pilot.press(*[">"] * 20)
        for _ in range(200):
            if recording.cursor == recording.total:
                break
            await pilot.pause(0.05)
        assert recording.cursor == recording.total


@pytest.mark.parametrize("key", ["plus", "minus", "b", "a", "x", "e", "u"])
async def test_nothing_of_the_past_can_be_changed(key: str) -> None:
    recording = Recording()
    async with shown(recording) as pilot:
        await pilot.press("left", key)
        await pilot.pause()
        assert recording.submitted == []
        assert len(pilot.app.screen_stack) == 1


async def test_q_leaves_at_once() -> None:
    async with shown(Recording()) as pilot:
        await pilot.press("left", "q")
        await pilot.pause()
        assert not pilot.app.is_running


@pytest.mark.parametrize("size", [(20, 5), (60, 16), (80, 24), (200, 60)])
async def test_every_size(size: tuple[int, int]) -> None:
    async with shown(Recording(), size) as pilot:
        await pilot.press("left", "right", "home")
        await pilot.pause()
        assert screen_text(pilot).strip()
