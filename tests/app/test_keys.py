"""Every key of the run screen, over a session that only remembers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from bsmon.core.commands import (
    ApplyAdvice,
    Command,
    DismissAdvice,
    Evaluate,
    Pause,
    Resume,
    ScaleBatchSize,
    Stop,
)
from bsmon.core.records import EventKind, Level
from bsmon.core.snapshot import RunState, Snapshot
from bsmon.ui.keys import KEYS
from bsmon.ui.layout import PANELS
from bsmon.ui.panels.footer import Footer
from bsmon.ui.panels.sheet import Sheet
from bsmon.ui.screens.help import HelpScreen
from bsmon.ui.screens.quit import QuitScreen
from bsmon.ui.screens.run import RunScreen
from tests import fakes
from tests.app.conftest import Driven, panel_text, screen_text


@pytest.mark.parametrize(
    ("key", "command"),
    [
        ("plus", ScaleBatchSize(2.0)),
        ("equals_sign", ScaleBatchSize(2.0)),
        ("minus", ScaleBatchSize(0.5)),
        ("underscore", ScaleBatchSize(0.5)),
        ("space", Pause()),
        ("a", ApplyAdvice()),
        ("x", DismissAdvice()),
        ("e", Evaluate()),
    ],
)
async def test_a_key_submits_its_command(driven: Driven, key: str, command: Command) -> None:
    session = fakes.FakeSession(fakes.with_advice())
    async with driven(session) as pilot:
        await pilot.press(key)
        assert session.submitted == [command]


async def test_space_resumes_a_paused_run(driven: Driven) -> None:
    session = fakes.FakeSession(fakes.training())
    session.change(state=RunState.PAUSED)
    async with driven(session) as pilot:
        assert "resume" in panel_text(pilot, "footer")
        await pilot.press("space")
        assert session.submitted == [Resume()]


@pytest.mark.parametrize(("scene", "words"), [(fakes.starting, "importing torch"), (fakes.finished, "has ended")])
async def test_keys_that_mean_nothing_now_say_so(driven: Driven, scene: Callable[[], Snapshot], words: str) -> None:
    session = fakes.FakeSession(scene())
    async with driven(session) as pilot:
        for key in ("plus", "minus", "b", "space", "a", "x", "e"):
            pilot.app.screen.query_one(Footer).notice = None
            await pilot.press(key)
            assert session.submitted == []
            assert words in panel_text(pilot, "footer")
            assert isinstance(pilot.app.screen, RunScreen)


@pytest.mark.parametrize("key", ["a", "x"])
async def test_without_advice_there_is_nothing_to_apply(driven: Driven, key: str) -> None:
    session = fakes.FakeSession(fakes.training())
    async with driven(session) as pilot:
        await pilot.press(key)
        assert session.submitted == []
        assert "no advice yet" in panel_text(pilot, "footer")


async def test_requested_then_acknowledged(driven: Driven) -> None:
    session = fakes.FakeSession(fakes.training())
    async with driven(session) as pilot:
        await pilot.press("plus", "plus")
        assert "batch 32  → 128 …" in panel_text(pilot, "header")
        batch = session.current.batch
        assert batch is not None
        session.change(batch=replace(batch, batch_size=128, pending=None))
        session.event(EventKind.BATCH, Level.GOOD, "batch size 32 -> 128")
        await pilot.press("y")  # any key that draws a frame now
        assert "batch 128 " in panel_text(pilot, "header")
        assert "→" not in panel_text(pilot, "header")
        assert "batch size 32 -> 128" in panel_text(pilot, "footer")
        assert "batch size 32 -> 128" in panel_text(pilot, "events")


async def test_a_refusal_is_shown(driven: Driven) -> None:
    session = fakes.FakeSession(fakes.training())
    async with driven(session) as pilot:
        session.event(EventKind.REFUSED, Level.WARNING, "64 is more than 48")
        await pilot.press("y")
        assert "64 is more than 48" in panel_text(pilot, "footer")


async def test_what_happened_before_the_screen_opened_is_no_news(driven: Driven) -> None:
    session = fakes.FakeSession(fakes.training())
    session.event(EventKind.REFUSED, Level.WARNING, "long ago")
    async with driven(session) as pilot:
        assert "long ago" not in panel_text(pilot, "footer")
        assert "long ago" in panel_text(pilot, "events")


@pytest.mark.parametrize(
    ("key", "panel"), [("1", "loss"), ("2", "gradients"), ("3", "hardware"), ("4", "advisor"), ("5", "events")]
)
async def test_number_keys_maximise_and_restore(driven: Driven, key: str, panel: str) -> None:
    async with driven(fakes.FakeSession(fakes.with_advice())) as pilot:
        await pilot.press(key)
        await pilot.pause()
        shown = {widget.id for widget in pilot.app.screen.children if widget.is_on_screen}
        beside = {"statistics"} if panel == "gradients" else set()
        assert shown == {"header", "footer", panel} | beside
        await pilot.press("escape")
        await pilot.pause()
        shown = {widget.id for widget in pilot.app.screen.children if widget.is_on_screen}
        assert shown == {"header", "footer", *PANELS}
        assert "Loss" in screen_text(pilot)


async def test_m_maximises_the_last_panel_again(driven: Driven) -> None:
    async with driven(fakes.FakeSession(fakes.training())) as pilot:
        await pilot.press("5", "5", "M")
        await pilot.pause()
        assert "1 Loss" not in screen_text(pilot)
        assert "5 Events" in screen_text(pilot)
        await pilot.press("M")
        await pilot.pause()
        assert "1 Loss" in screen_text(pilot)


async def test_y_toggles_the_log_axis(driven: Driven) -> None:
    async with driven(fakes.FakeSession(fakes.training())) as pilot:
        assert "Loss (log)" not in panel_text(pilot, "loss")
        await pilot.press("y")
        assert "Loss (log)" in panel_text(pilot, "loss")
        await pilot.press("y")
        assert "Loss (log)" not in panel_text(pilot, "loss")


async def test_help_lists_every_key(driven: Driven) -> None:
    async with driven(fakes.FakeSession(fakes.training()), size=(80, 24)) as pilot:
        await pilot.press("question_mark")
        await pilot.pause()
        assert isinstance(pilot.app.screen, HelpScreen)
        shown = screen_text(pilot)
        assert all(key.help in shown for key in KEYS)
        await pilot.press("escape")
        assert isinstance(pilot.app.screen, RunScreen)


@pytest.mark.parametrize(
    ("quit_key", "key", "command"),
    [
        ("q", "s", Stop()),
        ("q", "enter", Stop()),
        ("ctrl+c", "ctrl+c", Stop()),
        ("q", "e", Stop(after_epoch=True)),
        ("q", "k", None),
        ("ctrl+c", "escape", None),
    ],
)
async def test_quit_asks_while_training(driven: Driven, quit_key: str, key: str, command: Command | None) -> None:
    session = fakes.FakeSession(fakes.training())
    async with driven(session) as pilot:
        await pilot.press(quit_key)
        assert isinstance(pilot.app.screen, QuitScreen)
        await pilot.press(key)
        assert isinstance(pilot.app.screen, RunScreen)
        assert session.submitted == ([] if command is None else [command])
        assert pilot.app.is_running
        assert ("stopping" in panel_text(pilot, "header")) == (command is not None)


async def test_quitting_may_leave_the_run_training(driven: Driven) -> None:
    session = fakes.FakeSession(fakes.training())
    async with driven(session) as pilot:
        await pilot.press("q")
        sheet = pilot.app.screen.query_one(Sheet)
        assert any("detach" in sheet.render_line(y).text for y in range(sheet.size.height))
        await pilot.press("d")
        await pilot.pause()
        assert session.submitted == []
        assert not pilot.app.is_running


async def test_after_a_stop_the_app_closes_with_the_run(driven: Driven) -> None:
    session = fakes.FakeSession(fakes.training())
    async with driven(session) as pilot:
        await pilot.press("q", "s")
        session.change(state=RunState.STOPPED)
        await pilot.press("y")
        await pilot.pause()
        assert not pilot.app.is_running


async def test_a_run_that_hangs_can_be_left(driven: Driven) -> None:
    session = fakes.FakeSession(fakes.training())
    async with driven(session) as pilot:
        await pilot.press("q", "l")
        assert isinstance(pilot.app.screen, QuitScreen)  # not offered before a stop was asked for
        await pilot.press("s", "q", "l")
        await pilot.pause()
        assert not pilot.app.is_running


async def test_an_ended_run_is_quit_at_once(driven: Driven) -> None:
    async with driven(fakes.FakeSession(fakes.finished())) as pilot:
        await pilot.press("q")
        await pilot.pause()
        assert not pilot.app.is_running
