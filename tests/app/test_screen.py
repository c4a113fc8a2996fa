"""The screen at all sizes and in all states, and with hostile text."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bsmon.core.advice import AdvisorView, NoiseScale
from bsmon.core.records import EventKind, GpuSample, HostSample, Level
from bsmon.core.snapshot import Failure, RunState, Snapshot
from bsmon.ui.themes import theme_names
from tests import advice_fakes, fakes
from tests.app.conftest import Driven, panel_text, screen_text

HOSTILE = "\x1b]52;c;AAAA\x07\x1b[2J\u202e[/path/to/run] [bold]\u4f60\n"
SCENES = [
    fakes.starting(),
    fakes.training(),
    fakes.training(3),
    fakes.with_advice(),
    fakes.on_gpu(),
    fakes.finished(),
    fakes.failed(),
]


@pytest.mark.parametrize("size", [(1, 1), (20, 3), (59, 15), (60, 16), (80, 24), (80, 50), (120, 26), (300, 100)])
async def test_every_scene_at_every_size(driven: Driven, size: tuple[int, int]) -> None:
    session = fakes.FakeSession(fakes.starting())
    async with driven(session, size=size) as pilot:
        for version, scene in enumerate(SCENES, start=2):
            session.current = replace(scene, version=version)
            await pilot.press("y")
            await pilot.pause()
            assert screen_text(pilot).strip()


async def test_a_resize_storm(driven: Driven) -> None:
    async with driven(fakes.FakeSession(fakes.on_gpu())) as pilot:
        for size in ((200, 50), (30, 8), (80, 24), (5, 5), (120, 40)):
            await pilot.resize_terminal(*size)
            await pilot.press("q" if size == (80, 24) else "y")
        await pilot.press("escape")
        await pilot.pause()
        assert "5 Events" in screen_text(pilot)


@pytest.mark.parametrize("theme", theme_names())
async def test_every_theme(driven: Driven, theme: str) -> None:
    async with driven(fakes.FakeSession(fakes.with_advice()), theme=theme) as pilot:
        await pilot.press("b", "6", "4")
        await pilot.pause()
        assert "updates/epoch" in screen_text(pilot)


async def test_no_color(driven: Driven, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    session = fakes.FakeSession(fakes.starting())
    async with driven(session, theme="mono") as pilot:
        for version, scene in enumerate(SCENES, start=2):
            session.current = replace(scene, version=version)
            await pilot.press("y")
            await pilot.pause()
        await pilot.press("?")
        await pilot.pause()
        assert "What bsmon itself costs" in screen_text(pilot)


async def test_the_first_frame_says_what_it_waits_for(driven: Driven) -> None:
    async with driven(fakes.FakeSession(fakes.starting()), size=(80, 24)) as pilot:
        assert "importing torch … 0 s" in panel_text(pilot, "header")
        assert "training begins by itself" in panel_text(pilot, "loss")


async def test_nothing_is_drawn_while_nothing_changes(driven: Driven, monkeypatch: pytest.MonkeyPatch) -> None:
    session = fakes.FakeSession(fakes.training())
    async with driven(session) as pilot:
        shown: list[object] = []
        monkeypatch.setattr(type(pilot.app.screen), "_show", lambda _, view: shown.append(view))
        pilot.app.screen.take_frame()  # type: ignore[attr-defined]  # a RunScreen
        assert shown == []
        session.change(waiting_for="evaluating")
        pilot.app.screen.take_frame()  # type: ignore[attr-defined]  # a RunScreen
        assert len(shown) == 1


@pytest.mark.parametrize(
    ("snapshot", "words"),
    [
        (fakes.finished(), "Finished after 898 steps, 28,740 samples in 1:23."),
        (replace(fakes.training(), state=RunState.STOPPED), "Stopped on request after 315 steps"),
        (fakes.failed(), "RuntimeError: mat1 and mat2 shapes"),
    ],
)
async def test_an_ended_run_stays_and_says_how_it_ended(driven: Driven, snapshot: Snapshot, words: str) -> None:
    async with driven(fakes.FakeSession(snapshot)) as pilot:
        assert words in panel_text(pilot, "banner")
        assert "q quit" in panel_text(pilot, "banner")
        assert pilot.app.is_running


async def test_a_failure_says_that_the_traceback_follows(driven: Driven) -> None:
    async with driven(fakes.FakeSession(fakes.failed())) as pilot:
        assert "traceback is printed then" in panel_text(pilot, "banner")


async def test_bad_input_closes_the_screen_by_itself(driven: Driven) -> None:
    session = fakes.FakeSession(fakes.starting())
    async with driven(session) as pilot:
        session.change(state=RunState.FAILED, failure=Failure("no such optimizer", "", bad_input=True))
        await pilot.press("y")
        await pilot.pause()
        assert not pilot.app.is_running


@pytest.mark.parametrize("size", [(50, 12), (80, 24), (120, 40), (200, 50)])
async def test_hostile_text_reaches_the_screen_as_marks(driven: Driven, size: tuple[int, int]) -> None:
    base = fakes.on_gpu()
    assert base.hardware is not None
    advice = replace(advice_fakes.ADVICE, title=HOSTILE, why=HOSTILE, certainty_reason=HOSTILE, changes_mind=HOSTILE)
    tree = tuple(replace(node, question=HOSTILE, verdict=HOSTILE, explanation=HOSTILE) for node in advice_fakes.tree())
    gpu = replace(base.hardware.gpus[0], name=HOSTILE, throttle_reasons=(HOSTILE,))
    info = replace(base.run, name=HOSTILE, device=HOSTILE, device_name=HOSTILE, run_dir=HOSTILE)
    session = fakes.FakeSession(
        replace(
            base,
            run=info,
            waiting_for=HOSTILE,
            hardware=replace(base.hardware, gpus=(gpu,), gpu_status=HOSTILE),
            advisor=AdvisorView(tree=tree, advice=advice, noise_scale=NoiseScale(reason=HOSTILE)),
        )
    )
    async with driven(session, size=size) as pilot:
        session.event(EventKind.REFUSED, Level.WARNING, HOSTILE)
        await pilot.press("y")
        shown = screen_text(pilot)
        assert all(line.isprintable() for line in shown.split("\n"))
        session.change(state=RunState.FAILED, failure=Failure(HOSTILE, HOSTILE))
        await pilot.press("y")
        shown = screen_text(pilot)
        assert all(line.isprintable() for line in shown.split("\n"))
        assert "[/path/to/run]" in shown


async def test_unknown_is_not_zero(driven: Driven) -> None:
    base = fakes.training()
    assert base.hardware is not None
    empty = replace(base.hardware, host=HostSample(), gpus=(GpuSample(0, "", "GPU", is_mine=True),))
    session = fakes.FakeSession(replace(base, hardware=empty, gradients=None, evaluation=None))
    async with driven(session) as pilot:
        assert "n/a" in panel_text(pilot, "hardware")
        assert " 0" not in panel_text(pilot, "hardware").replace("GPU 0", "")
        assert "not known yet" in panel_text(pilot, "statistics")
