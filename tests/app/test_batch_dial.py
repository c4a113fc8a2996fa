"""The batch dial, over a session that only remembers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bsmon.core.advice import AdvisorView, NoiseScale
from bsmon.core.commands import Command, LearningRateRule, SetBatchSize, SetMicroBatchSize
from bsmon.core.snapshot import MeasuredSize, MemoryForecast, Snapshot
from bsmon.ui.screens.batch_size import BatchSizeScreen
from tests import fakes
from tests.app.conftest import Driven, panel_text, screen_text


def line_of(shown: str, start: str) -> str:
    """The line of the dial that begins with this."""
    return next(line for line in shown.splitlines() if line.strip(" │▸").startswith(start))


def measured() -> Snapshot:
    """Two sizes timed: 32 at 4 ms, 64 at 6 ms, so that t(B) = 2 ms + 1/16 ms x B."""
    return replace(fakes.with_advice(), sizes=(MeasuredSize(32, 0.004), MeasuredSize(64, 0.006)))


def by_hand() -> Snapshot:
    base = fakes.with_advice()
    assert base.batch is not None
    return replace(base, batch=replace(base.batch, micro_batch_by_hand=True))


async def test_a_batch_size_is_typed(driven: Driven) -> None:
    session = fakes.FakeSession(fakes.with_advice())
    async with driven(session, size=(80, 24)) as pilot:
        await pilot.press("b", "6", "x", "backspace", "4")
        await pilot.pause()
        shown = screen_text(pilot)
        assert "▸ 64" in shown
        assert "23 good" in line_of(shown, "64 ")
        assert "717 MiB fits" in line_of(shown, "64 ")
        assert "0.77" in line_of(shown, "64 ")  # 214 / (214 + 64)
        assert "2.82e-3" in shown  # linear
        await pilot.press("right", "right", "enter")
        assert session.submitted == [SetBatchSize(64, LearningRateRule.LINEAR)]
        assert "batch 32  → 64 …" in panel_text(pilot, "header")


async def test_a_size_is_chosen_in_the_table(driven: Driven) -> None:
    session = fakes.FakeSession(fakes.with_advice())
    async with driven(session, size=(80, 24)) as pilot:
        await pilot.press("b", "down", "down")
        await pilot.pause()
        assert "▸ 128" in screen_text(pilot)
        assert "← advice" in line_of(screen_text(pilot), "128 ")
        await pilot.press("up", "up", "up", "left", "enter")
        assert session.submitted == [SetBatchSize(16, LearningRateRule.GAIN)]


async def test_the_table_ends_at_the_bounds(driven: Driven) -> None:
    session = fakes.FakeSession(fakes.with_advice())
    batch = session.current.batch
    assert batch is not None
    session.change(batch=replace(batch, minimum=16, maximum=64))
    async with driven(session, size=(80, 24)) as pilot:
        await pilot.press("b", *["up"] * 9)
        await pilot.pause()
        assert "▸ 16" in screen_text(pilot)
        await pilot.press(*["down"] * 9)
        await pilot.pause()
        assert "▸ 64" in screen_text(pilot)
        assert not any(line.strip(" │").startswith("128 ") for line in screen_text(pilot).splitlines())


async def test_speeds_are_measured_or_predicted(driven: Driven) -> None:
    async with driven(fakes.FakeSession(measured()), size=(80, 24)) as pilot:
        await pilot.press("b")
        await pilot.pause()
        shown = screen_text(pilot)
        assert " 8.00k" in line_of(shown, "32 ")
        assert " 10.7k" in line_of(shown, "64 ")
        assert " ~12.8k" in line_of(shown, "128 ")
        assert line_of(shown, "128 ").index("~12.8k") < line_of(shown, "128 ").index("0.63")


@pytest.mark.parametrize(
    ("forecasts", "fences", "words"),
    [
        ((MemoryForecast(64, 2**30, 2**29, fits=False),), (), "32 at a time"),
        (
            (MemoryForecast(64, 2**30, 2**29, fits=False), MemoryForecast(16, 2**28, 2**29, fits=True)),
            (),
            "16 at a time, 256 MiB",
        ),
        ((), (48,), "32 at a time"),
        ((MemoryForecast(64, 2**30, None, fits=None),), (), "1.00 GiB"),
        ((), (), "n/a"),
    ],
)
async def test_what_does_not_fit_in_one_pass(
    driven: Driven, forecasts: tuple[MemoryForecast, ...], fences: tuple[int, ...], words: str
) -> None:
    session = fakes.FakeSession(replace(fakes.training(), forecasts=forecasts, fences=fences))
    async with driven(session, size=(80, 24)) as pilot:
        await pilot.press("b")
        await pilot.pause()
        assert words in line_of(screen_text(pilot), "64 ")


async def test_a_lower_bound_of_the_noise_scale_bounds_the_worth(driven: Driven) -> None:
    session = fakes.FakeSession(replace(fakes.training(), advisor=AdvisorView(noise_scale=NoiseScale(low=192.0))))
    async with driven(session, size=(80, 24)) as pilot:
        await pilot.press("b", "6", "4")
        await pilot.pause()
        assert "≥0.75" in line_of(screen_text(pilot), "64 ")  # 192 / (192 + 64)


async def test_unknown_is_not_zero(driven: Driven) -> None:
    session = fakes.FakeSession(replace(fakes.training(), run=replace(fakes.INFO, train_samples=None)))
    async with driven(session, size=(80, 24)) as pilot:
        await pilot.press("b", "6", "4")
        await pilot.pause()
        assert line_of(screen_text(pilot), "64 ").split()[-6:-1] == ["64", "n/a", "n/a", "n/a", "n/a"]


@pytest.mark.parametrize(
    ("typed", "reason"),
    [
        ("", "Type a number"),
        ("0", "at least 1 sample"),
        ("9999", "only 1,437 training samples"),
        ("32", "is 32 already"),
        ("abc", "whole number"),
    ],
)
async def test_the_reason_stands_there_while_typing(driven: Driven, typed: str, reason: str) -> None:
    session = fakes.FakeSession(fakes.with_advice())
    async with driven(session, size=(80, 24)) as pilot:
        await pilot.press("b", *typed)
        await pilot.pause()
        assert reason in screen_text(pilot)
        await pilot.press("enter")
        assert isinstance(pilot.app.screen, BatchSizeScreen)
        await pilot.press("escape")
        assert session.submitted == []


async def test_a_rule_that_cannot_be_used_is_not_applied(driven: Driven) -> None:
    session = fakes.FakeSession(fakes.training())  # the noise scale is not known
    async with driven(session, size=(80, 24)) as pilot:
        await pilot.press("b", "6", "4", "left", "enter")
        await pilot.pause()
        assert isinstance(pilot.app.screen, BatchSizeScreen)
        assert "noise scale" in screen_text(pilot)


@pytest.mark.parametrize(
    ("scene", "keys", "commands"),
    [
        (fakes.with_advice(), ["m", "1", "6", "enter"], [SetMicroBatchSize(16)]),
        (
            fakes.with_advice(),
            ["6", "4", "m", "1", "6", "enter"],
            [SetBatchSize(64, LearningRateRule.AUTO), SetMicroBatchSize(16)],
        ),
        (by_hand(), ["m", "enter"], [SetMicroBatchSize(None)]),
        (fakes.with_advice(), ["m", "9", "9", "enter", "escape"], []),
        (fakes.with_advice(), ["m", "m", "6", "4", "enter"], [SetBatchSize(64, LearningRateRule.AUTO)]),
    ],
)
async def test_the_micro_batch(driven: Driven, scene: Snapshot, keys: list[str], commands: list[Command]) -> None:
    session = fakes.FakeSession(scene)
    async with driven(session, size=(80, 24)) as pilot:
        await pilot.press("b", *keys)
        assert session.submitted == commands


async def test_opening_asks_for_the_memory_of_the_sizes_shown(driven: Driven) -> None:
    session = fakes.FakeSession(fakes.training())
    async with driven(session) as pilot:
        await pilot.press("b")
        await pilot.pause()
    (asked,) = session.forecasts
    assert 32 in asked.batch_sizes
    assert session.submitted == []
