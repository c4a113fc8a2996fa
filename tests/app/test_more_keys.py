"""Learning rate, undo, release, save, layers, log and help, over a session that only remembers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bsmon.core.commands import Command, Release, Save, SetLearningRate, Undo, WatchLayers
from bsmon.core.records import EventKind, Level
from bsmon.core.snapshot import RunState, Snapshot
from bsmon.ui.screens.help import HelpScreen
from bsmon.ui.screens.learning_rate import LearningRateScreen
from bsmon.ui.screens.run import RunScreen
from bsmon.ui.screens.undo import UndoScreen
from tests import fakes
from tests.app.conftest import Driven, panel_text, screen_text
from tests.layer_fakes import LAYERS


def changed(*, by_hand: bool = False, can_undo: bool = False) -> Snapshot:
    base = fakes.with_advice()
    assert base.batch is not None
    hand = frozenset({"batch_size", "learning_rate"}) if by_hand else frozenset()
    return replace(base, batch=replace(base.batch, by_hand=hand, can_undo=can_undo))


@pytest.mark.parametrize(
    ("keys", "commands"),
    [
        (["3", "e", "minus", "4", "enter"], [SetLearningRate(3e-4)]),
        (["0", "full_stop", "1", "backspace", "2", "enter"], [SetLearningRate(0.2)]),
        (["up", "up", "enter"], [SetLearningRate(5.64e-3)]),
        (["4", "down", "enter"], [SetLearningRate(2.0)]),
        (["1", "escape"], []),
    ],
)
async def test_a_learning_rate_is_typed(driven: Driven, keys: list[str], commands: list[Command]) -> None:
    session = fakes.FakeSession(fakes.with_advice())
    async with driven(session) as pilot:
        await pilot.press("l", *keys)
        assert session.submitted == commands
        assert isinstance(pilot.app.screen, RunScreen)


@pytest.mark.parametrize(
    ("typed", "reason"),
    [("", "such as 3e-4"), ("0", "above 0"), ("inf", "above 0"), ("x", "is a number"), ("9", "x the")],
)
async def test_a_learning_rate_that_cannot_be_says_why(driven: Driven, typed: str, reason: str) -> None:
    session = fakes.FakeSession(fakes.with_advice())
    async with driven(session, size=(80, 24)) as pilot:
        await pilot.press("l", *typed)
        await pilot.pause()
        assert reason in screen_text(pilot)
        if typed != "9":
            await pilot.press("enter")
            assert isinstance(pilot.app.screen, LearningRateScreen)
            assert session.submitted == []


async def test_the_rules_are_held_against_the_last_change(driven: Driven) -> None:
    base = fakes.with_advice()  # 16 -> 32 at step 120
    rates = fakes.series([1e-3] * 120 + [1.41e-3] * 195)
    session = fakes.FakeSession(replace(base, series={**base.series, "learning_rate": rates}))
    async with driven(session, size=(80, 24)) as pilot:
        await pilot.press("l")
        await pilot.pause()
        shown = screen_text(pilot)
        assert "unchanged 1e-3, linear 2e-3, sqrt 1.41e-3" in shown
        assert "so far 1e-3 to 1.41e-3" in shown
        assert "2.41e-3 with a batch of 128" in shown


@pytest.mark.parametrize(
    ("key", "command"),
    [("u", Undo()), ("enter", Undo()), ("w", Undo(weights=True)), ("k", None), ("escape", None)],
)
async def test_undo_asks_how(driven: Driven, key: str, command: Command | None) -> None:
    session = fakes.FakeSession(changed(can_undo=True))
    async with driven(session, size=(80, 24)) as pilot:
        await pilot.press("u")
        await pilot.pause()
        assert isinstance(pilot.app.screen, UndoScreen)
        assert "16 → 32 at step 120" in screen_text(pilot)
        assert "195 steps are trained again" in screen_text(pilot)
        await pilot.press(key)
        assert session.submitted == ([] if command is None else [command])


async def test_without_a_change_there_is_nothing_to_undo(driven: Driven) -> None:
    session = fakes.FakeSession(changed())
    async with driven(session) as pilot:
        await pilot.press("u")
        assert isinstance(pilot.app.screen, RunScreen)
        assert "no batch change to take back" in panel_text(pilot, "footer")


async def test_release_where_something_is_by_hand(driven: Driven) -> None:
    session = fakes.FakeSession(changed(by_hand=True))
    async with driven(session) as pilot:
        assert "by hand" in panel_text(pilot, "header")
        await pilot.press("r")
        assert session.submitted == [Release()]


async def test_release_where_nothing_is(driven: Driven) -> None:
    session = fakes.FakeSession(changed())
    async with driven(session) as pilot:
        assert "by hand" not in panel_text(pilot, "header")
        await pilot.press("r")
        assert session.submitted == []
        assert "Nothing is set by hand" in panel_text(pilot, "footer")


async def test_save_tells_when_it_is_done(driven: Driven) -> None:
    session = fakes.FakeSession(fakes.with_advice())
    async with driven(session) as pilot:
        await pilot.press("s")
        assert session.submitted == [Save()]
        session.event(EventKind.CHECKPOINT, Level.GOOD, "checkpoint written: 1.2 MiB in 12 ms")
        await pilot.press("y")
        assert "checkpoint written" in panel_text(pilot, "footer")


async def test_layers_are_measured_only_while_they_are_shown(driven: Driven) -> None:
    session = fakes.FakeSession(fakes.with_advice())
    async with driven(session, size=(80, 24)) as pilot:
        await pilot.press("g")
        await pilot.pause()
        assert session.submitted == [WatchLayers(wanted=True)]
        assert "measuring" in panel_text(pilot, "layers")
        session.change(layers=LAYERS)
        await pilot.press("y")
        shown = panel_text(pilot, "layers").splitlines()
        assert "4 stand out" in shown[0]
        assert [line.split()[-1] for line in shown[2:6]] == ["exploding", "vanishing", "absent", "non-finite"]
        assert "n/a" in shown[4]
        assert "NaN" in shown[5]
        await pilot.press("g")
        assert session.submitted == [WatchLayers(wanted=True), WatchLayers(wanted=False)]


async def test_layers_of_a_run_that_has_not_begun_are_asked_for_later(driven: Driven) -> None:
    session = fakes.FakeSession(fakes.starting())
    async with driven(session) as pilot:
        await pilot.press("g")
        assert session.submitted == []
        session.current = replace(fakes.training(), version=99)
        await pilot.press("y")
        assert session.submitted == [WatchLayers(wanted=True)]
        session.change(state=RunState.FINISHED)
        await pilot.press("y")
        assert session.submitted[1:] == [WatchLayers(wanted=False)]


async def test_leaving_ends_the_measuring_of_layers(driven: Driven) -> None:
    session = fakes.FakeSession(fakes.with_advice())
    async with driven(session) as pilot:
        await pilot.press("g", "d")
        await pilot.pause()
    assert session.submitted == [WatchLayers(wanted=True), WatchLayers(wanted=False)]


async def test_the_log_is_followed(driven: Driven, tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    log.write_text("first\n\x1b]0;title\x07hostile\n", encoding="utf-8")
    session = fakes.FakeSession(replace(fakes.training(), run=replace(fakes.INFO, run_dir=str(tmp_path))))
    async with driven(session) as pilot:
        await pilot.press("o")
        for _ in range(200):
            await pilot.pause(0.02)
            if "hostile" in panel_text(pilot, "log"):
                break
        assert "first" in panel_text(pilot, "log")
        assert "\N{REPLACEMENT CHARACTER}]0;title" in panel_text(pilot, "log")
        assert "\x1b" not in screen_text(pilot)


async def test_a_run_without_a_folder_has_no_log(driven: Driven) -> None:
    session = fakes.FakeSession(replace(fakes.training(), run=replace(fakes.INFO, run_dir="")))
    async with driven(session) as pilot:
        await pilot.press("o")
        await pilot.pause()
        assert "no folder" in panel_text(pilot, "log")


async def test_help_says_what_bsmon_costs(driven: Driven) -> None:
    session = fakes.FakeSession(fakes.training())
    session.change(progress=replace(session.current.progress, probes_cost_share=0.013))
    async with driven(session, size=(80, 24)) as pilot:
        await pilot.press("question_mark")
        await pilot.pause()
        assert isinstance(pilot.app.screen, HelpScreen)
        shown = screen_text(pilot)
        assert "What bsmon itself costs" in shown
        assert "1 % of training" in shown
        assert "<1 % of a core" in shown
