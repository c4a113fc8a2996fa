"""What panels say, as pure rows."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bsmon.core.advice import Action, NoiseScale, Reading, Score
from bsmon.core.commands import LearningRateRule
from bsmon.core.errors import NotApplicable
from bsmon.core.records import GpuSample, HostSample, TorchMemory
from bsmon.core.snapshot import BatchState
from bsmon.ui.advice_rows import advice_rows, change_rows, score_text, short_advice
from bsmon.ui.device_rows import stacked_bar
from bsmon.ui.memory import gpu_memory, host_memory
from bsmon.ui.pace import SLOWEST_S, Pace
from bsmon.ui.panels.sheet import changed_rows
from bsmon.ui.panels.statistics import noise_scale_text
from bsmon.ui.preview import learning_rate, parse_batch_size, previews, rule_in_force, sizes_around
from bsmon.ui.roles import Role, Row
from bsmon.ui.rows import fit, paragraph, row_width, shorten, spread, wrap
from bsmon.ui.tree_rows import folded_tree, reading_text, tree_rows
from bsmon.ui.view import View
from tests import advice_fakes, fakes

TEXT = st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), max_size=60)


NARROW = st.text("ab →░", max_size=40)  # one cell each, so that characters count as cells


def text(row: Row) -> str:
    return "".join(part for part, _ in row)


@pytest.mark.parametrize(
    ("noise", "shown"),
    [
        (NoiseScale(reason="3 of 16 probes"), "not known yet"),
        (NoiseScale(value=900.0, low=410.0), "at least 410"),
        (NoiseScale(low=410.0), "at least 410"),
        (NoiseScale(214.4, 120.2, 12_000.0), "214 [120, 12.0k]"),
        (NoiseScale(2.5, 1.25, 4.0), "2.50 [1.25, 4]"),
    ],
)
def test_the_noise_scale_is_one_of_three(noise: NoiseScale, shown: str) -> None:
    assert noise_scale_text(noise) == shown


@pytest.mark.parametrize(
    ("reading", "shown"),
    [
        (Reading("rise", 0.4, "z", ">=", 4.0), "rise 0.4 (≥ 4?)"),
        (Reading("peak", None, "bytes"), "peak n/a"),
        (Reading("peak", 2.0**30, "bytes", "<", 2.0**31), "peak 1.00 GiB (< 2.00 GiB?)"),
        (Reading("busy", 31.0, "%", "<", 70.0), "busy 31 % (< 70 %?)"),
        (Reading("speed", 12_400.0, "samples/s"), "speed 12.4k samples/s"),
        (Reading("step", 0.0035, "s"), "step 3.50 ms"),
        (Reading("gain", 1.9, "x", ">=", 2.0), "gain 1.9x (≥ 2x?)"),
        (Reading("loss", math.nan), "loss NaN"),
    ],
)
def test_readings(reading: Reading, shown: str) -> None:
    assert reading_text(reading) == shown


def test_the_path_taken_is_lit() -> None:
    rows = tree_rows(advice_fakes.tree(), 60, 30)
    lit = [text(row) for row in rows if any("●" in part for part, _ in row)]
    assert [line.strip("│└● ")[:3] for line in lit] == ["1 I", "2 I", "Doe"]
    assert text(folded_tree(advice_fakes.tree())) == "1 no  2 yes  3 no  4 yes  5 unknown"


@given(st.integers(20, 200), st.integers(0, 60))
def test_the_tree_keeps_its_width_and_height(width: int, height: int) -> None:
    rows = tree_rows(advice_fakes.tree(), width, height)
    assert all(row_width(row) <= width for row in rows)
    assert len(rows) <= max(height, len(advice_fakes.tree()))


def test_the_recommendations_own_question_is_detailed_first() -> None:
    tree = advice_fakes.tree()
    rows = tree_rows(tree, 60, len(tree) + 1, first=tree[1].id)
    assert [text(row).strip("│ ") for row in rows][2] == "cores busy 61 % (< 70 %?)"


@given(st.integers(44, 200), st.integers(1, 8))
def test_advice_keeps_its_place(width: int, height: int) -> None:
    view = View(fakes.with_advice())
    assert all(row_width(row) <= width for row in advice_rows(view, width))
    assert len(short_advice(view, width, height)) <= height


def test_short_advice_on_80_columns_says_from_what_to_what() -> None:
    """With all its changes in one row too wide, the row used to drop every one of them."""
    split = replace(advice_fakes.ADVICE, title="Larger batch", micro_batch_size=32, new_micro_batch_size=64)
    base = fakes.with_advice()
    view = View(replace(base, advisor=replace(base.advisor, advice=split)))
    first = text(short_advice(view, 80, 5)[0])
    assert f"batch {split.batch_size} → {split.new_batch_size}" in first
    assert "a apply" in first


def test_advice_to_keep_all_has_no_arrow_and_no_keys() -> None:
    keep = replace(advice_fakes.ADVICE, action=Action.KEEP, new_batch_size=32, new_learning_rate=1.41e-3)
    base = fakes.with_advice()
    view = View(replace(base, advisor=replace(base.advisor, advice=keep)))
    assert change_rows(keep, 80) == []
    assert "apply" not in "\n".join(map(text, advice_rows(view, 60)))


def test_dismissed_advice_says_until_when() -> None:
    base = fakes.with_advice()
    view = View(replace(base, advisor=replace(base.advisor, dismissed_until="until the noise scale doubles")))
    assert "put aside until the noise scale doubles" in "\n".join(map(text, advice_rows(view, 80)))


def test_the_score() -> None:
    assert score_text(Score()) == ""
    assert score_text(Score(3, 1, 0.04, 0.07)) == "3 applied, 1 taken back, speed within 7 %, memory within 4 %"


@given(st.lists(st.integers(0, 2**40), min_size=1, max_size=4), st.integers(1, 200))
def test_a_memory_bar_fills_its_width(sizes: list[int], width: int) -> None:
    host = HostSample(rss_bytes=sizes[0], memory_total_bytes=max(1, sum(sizes)), memory_available_bytes=sizes[-1])
    memory = host_memory(host)
    assert memory is not None
    assert row_width(stacked_bar(memory.parts, memory.total, width)) == width
    assert memory.used + memory.free == memory.total


def test_unknown_memory_is_no_bar() -> None:
    assert host_memory(HostSample()) is None
    gpu = GpuSample(0, "", "GPU", memory_total_bytes=10)
    assert gpu_memory(gpu, None) is None


def test_torchs_memory_stands_beside_the_drivers() -> None:
    gpu = GpuSample(0, "", "GPU", memory_total_bytes=100, memory_used_bytes=60, memory_free_bytes=40)
    memory = gpu_memory(gpu, TorchMemory(allocated_bytes=20, reserved_bytes=45, peak_bytes=40))
    assert memory is not None
    assert [(part.label, part.size) for part in memory.parts] == [("run", 20), ("cache", 25), ("CUDA, other", 15)]
    assert memory.free == 40


@pytest.mark.parametrize(("cost", "wait"), [(0.0, 0.5), (0.01, 0.5), (0.02, 1.0), (5.0, SLOWEST_S)])
def test_dear_frames_come_more_rarely(cost: float, wait: float) -> None:
    assert Pace(2.0).next_interval(cost) == pytest.approx(wait)


def test_one_dear_frame_is_forgiven_and_many_are_not() -> None:
    pace = Pace(2.0)
    pace.next_interval(0.004)
    after_one = pace.next_interval(0.03)
    after_many = [pace.next_interval(0.03) for _ in range(20)][-1]
    assert after_one < 0.8 < after_many


def test_a_preview_of_a_larger_batch() -> None:
    snapshot = fakes.with_advice()
    assert snapshot.batch is not None
    now, then = previews([32, 64], snapshot.batch, snapshot)
    assert (now.updates, then.updates) == (45, 23)
    assert then.in_one_pass
    assert then.passes_of == 64
    assert learning_rate(LearningRateRule.LINEAR, 64, snapshot.batch, snapshot) == pytest.approx(2.82e-3)
    assert learning_rate(LearningRateRule.UNCHANGED, 64, snapshot.batch, snapshot) == pytest.approx(1.41e-3)
    assert rule_in_force(LearningRateRule.AUTO, snapshot) is LearningRateRule.GAIN


@given(st.integers(1, 1437), st.integers(1, 50), st.integers(50, 1437))
def test_the_dials_sizes_keep_the_bounds(present: int, minimum: int, maximum: int) -> None:
    present = min(max(present, minimum), maximum)
    snapshot = fakes.with_advice()
    sizes = sizes_around(BatchState(present, present, 1, 0.1, minimum=minimum, maximum=maximum), snapshot)
    assert present in sizes
    assert sizes == sorted(set(sizes))
    assert all(minimum <= size <= maximum for size in sizes)
    assert len(sizes) <= 8


@given(TEXT)
def test_any_text_is_a_size_or_a_reason(typed: str) -> None:
    try:
        size = parse_batch_size(typed, fakes.training())
    except NotApplicable:
        return
    assert 1 <= size <= 1437


@given(TEXT, st.integers(1, 40))
def test_shortening_and_fitting(words: str, width: int) -> None:
    assert row_width(((shorten(words, width), Role.INK),)) <= width
    assert row_width(fit(((words, Role.INK), (words, Role.DIM)), width)) == width
    assert row_width(spread(((words, Role.INK),), ((words, Role.DIM),), width)) == width
    assert all(row_width(((line, Role.INK),)) <= width for line in wrap(words, width))
    assert len(paragraph(words, width, lines=2)) <= 2


@given(st.lists(NARROW, min_size=1, max_size=6), st.lists(NARROW, min_size=1, max_size=6))
def test_all_that_changed_is_painted(before: list[str], after: list[str]) -> None:
    old = [fit(((words, Role.INK), ("·", Role.DIM)), 30) for words in before]
    new = [fit(((words, Role.INK), ("·", Role.DIM)), 30) for words in after]
    painted = dict(changed_rows(old, new))
    for y, row in enumerate(new[: len(old)]):
        assert (y in painted) == (row != old[y])
        end = painted.get(y, 0)
        assert text(row)[end:] == text(old[y])[end:]
