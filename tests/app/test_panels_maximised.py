"""What the panels show when they have the whole screen."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bsmon.core.advice import Box, NoiseScale
from bsmon.core.records import EventKind
from tests import fakes, layer_fakes
from tests.app.conftest import Driven, panel_text, screen_text


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


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 50)])
async def test_the_advisor_alone_explains_a_question(driven: Driven, size: tuple[int, int]) -> None:
    async with driven(fakes.FakeSession(fakes.with_advice()), size=size) as pilot:
        await pilot.press("enter")
        await pilot.pause()
        assert "▸ Does it wait for data?" in panel_text(pilot, "advisor")  # the last on the path
        assert "steadier" in panel_text(pilot, "advisor")
        await pilot.press("up")
        assert "▸ 2 Is training too slow?" in panel_text(pilot, "advisor")
        await pilot.press(*["down"] * 9)
        assert "▸ 5 Is memory the limit?" in panel_text(pilot, "advisor")
        await pilot.press("escape")
        await pilot.pause()
        assert "▸" not in panel_text(pilot, "advisor")


async def test_arrows_mean_nothing_where_the_advisor_is_not_alone(driven: Driven) -> None:
    async with driven(fakes.FakeSession(fakes.with_advice())) as pilot:
        await pilot.press("down", "up", "up")
        assert "▸" not in panel_text(pilot, "advisor")


async def test_a_long_tree_is_shown_around_the_chosen_question(driven: Driven) -> None:
    base = fakes.with_advice()
    nodes = tuple(replace(base.advisor.tree[0], id=str(n), question=f"Question {n}?") for n in range(13))
    session = fakes.FakeSession(replace(base, advisor=replace(base.advisor, tree=nodes)))
    async with driven(session, size=(80, 24)) as pilot:
        await pilot.press("4", *["up"] * 12)
        assert "Question 0?" in panel_text(pilot, "advisor")
        assert "Question 12?" not in panel_text(pilot, "advisor")
        await pilot.press(*["down"] * 12)
        assert "Question 0?" not in panel_text(pilot, "advisor")
        assert panel_text(pilot, "advisor").count("Question 12?") == 2  # in the tree and in its explanation


async def test_progress_a_second_by_batch_size(driven: Driven) -> None:
    async with driven(fakes.FakeSession(layer_fakes.with_weight())) as pilot:
        await pilot.press("4")
        await pilot.pause()
        shown = panel_text(pilot, "advisor")
        line = next(line for line in shown.splitlines() if line.rstrip().endswith("knee"))
        assert " 64 ━" in line  # t(B) = 2 ms + B / 16 ms, noise scale 214: best at sqrt(32 x 214) = 83
        assert "2 sizes timed" in shown
        assert "noise scale at least" not in shown


async def test_a_lower_bound_of_the_noise_scale_draws_the_chart_and_says_so(driven: Driven) -> None:
    snapshot = layer_fakes.with_weight()
    bound = replace(snapshot.advisor, noise_scale=NoiseScale(low=214.0))
    async with driven(fakes.FakeSession(replace(snapshot, advisor=bound))) as pilot:
        await pilot.press("4")
        await pilot.pause()
        shown = panel_text(pilot, "advisor")
        assert any(line.rstrip().endswith("knee") for line in shown.splitlines())
        assert "noise scale at least 214" in shown


@pytest.mark.parametrize("size", [(120, 50), (80, 70)])
async def test_the_checklist_stands_beside_the_tree_or_below_it(driven: Driven, size: tuple[int, int]) -> None:
    boxes = (
        Box("Shuffling enabled for training", "ok", "shuffled", "", "C part 11"),
        Box("Larger batches tested", "warning", "1 size run", "Compare 16, 32 and 64.", "C part 11"),
        Box("Loss\x1b[2J barely moving", "unknown", "needs a running training", "", "C part 11"),
    )
    snapshot = layer_fakes.with_weight()
    with_boxes = replace(snapshot, advisor=replace(snapshot.advisor, checklist=boxes))
    async with driven(fakes.FakeSession(with_boxes), size=size) as pilot:
        await pilot.press("4")
        await pilot.pause()
        lines = [line.rstrip() for line in panel_text(pilot, "advisor").splitlines()]
        assert any("Training issues? Check:" in line for line in lines)
        assert any("Shuffling enabled" in line and line.endswith("ok") for line in lines)
        assert any("Larger batches tested" in line and line.endswith("warning") for line in lines)
        assert any("1 size run. Compare 16, 32 and 64." in line for line in lines)
        assert any("barely moving" in line and line.endswith("unknown") and "\x1b" not in line for line in lines)


async def test_without_two_sizes_no_progress_is_promised(driven: Driven) -> None:
    async with driven(fakes.FakeSession(fakes.with_advice())) as pilot:
        await pilot.press("4")
        await pilot.pause()
        assert "Progress a second" not in panel_text(pilot, "advisor")


async def test_evaluations_in_a_row_take_one_line_and_all_of_them_alone(driven: Driven) -> None:
    events = tuple(
        fakes.event(n, f"validation loss 0.{n}" if n != 3 else "batch 16 -> 32", kind=kind)
        for n, kind in enumerate(
            [EventKind.EVALUATION, EventKind.EVALUATION, EventKind.BATCH] + [EventKind.EVALUATION] * 3, 1
        )
    )
    async with driven(fakes.FakeSession(replace(fakes.training(), events=events))) as pilot:
        shown = panel_text(pilot, "events")
        assert [f"loss 0.{n}" in shown for n in (1, 2, 4, 5, 6)] == [False, True, False, False, True]
        assert "batch 16 -> 32" in shown
        await pilot.press("5")
        await pilot.pause()
        shown = panel_text(pilot, "events")
        assert all(f"loss 0.{n}" in shown for n in (1, 2, 4, 5, 6))
        assert shown.splitlines()[1].count(":") == 3  # the time of the day, and since the start


@pytest.mark.parametrize("key", ["2", "3", "4", "g"])
async def test_hostile_names_reach_no_terminal(driven: Driven, key: str) -> None:
    base = layer_fakes.on_gpus()
    weight, hardware = layer_fakes.with_weight(), base.hardware
    assert weight.probed_weight is not None
    assert hardware is not None
    bad = "\x1b]52;c;AAAA\x07\x1b[2J[bold]\n"
    gpus = tuple(replace(gpu, name=bad, reasons={"power_w": bad, "gpu": bad}) for gpu in hardware.gpus)
    layers = tuple(replace(layer, name=bad) for layer in layer_fakes.LAYERS.layers)
    nodes = tuple(replace(node, question=bad, explanation=bad, source=bad) for node in base.advisor.tree)
    snapshot = replace(
        base,
        series=weight.series,
        probed_weight=replace(weight.probed_weight, name=bad),
        hardware=replace(hardware, gpus=gpus),
        layers=replace(layer_fakes.LAYERS, layers=layers),
        advisor=replace(base.advisor, tree=nodes),
    )
    async with driven(fakes.FakeSession(snapshot)) as pilot:
        await pilot.press(key)
        await pilot.pause()
        shown = screen_text(pilot)
        assert "]52;c" in shown
        assert not any(character in shown for character in "\x1b\x07")
