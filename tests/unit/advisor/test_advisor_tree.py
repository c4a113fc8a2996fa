"""What the decision tree recommends, as tables: every branch and conflict."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bsmon.advisor.evidence import Limits
from bsmon.advisor.scaling import OptimizerFamily
from bsmon.advisor.tree import assess
from bsmon.core.advice import Action, Answer, Certainty, NoiseScale
from bsmon.core.snapshot import MemoryForecast
from tests.unit.advisor.builders import (
    CALM,
    GIB,
    NOTHING,
    STEADY,
    advice_for,
    known,
    line,
    sick,
    with_,
)


def test_when_all_is_well_it_keeps_the_size_and_points_at_the_learning_rate() -> None:
    advice = advice_for(CALM)
    assert (advice.action, advice.new_batch_size, advice.certainty) == (Action.KEEP, 32, Certainty.HIGH)
    assert "learning rate matters more" in advice.why
    assert "medium (32-128)" in advice.trade_off
    assert all(node.lit and node.answer is not Answer.UNKNOWN for node in assess(CALM, Limits()).tree)


def test_when_nothing_is_known_every_node_abstains_and_says_what_is_missing() -> None:
    view = assess(NOTHING, Limits())
    assert {node.answer for node in view.tree} == {Answer.UNKNOWN}
    assert all(node.verdict for node in view.tree)
    assert view.advice is not None
    assert (view.advice.action, view.advice.certainty) == (Action.KEEP, Certainty.LOW)


def test_every_node_has_an_explanation_a_source_and_a_threshold() -> None:
    nodes = assess(CALM, Limits()).tree
    assert [node.id for node in nodes if node.depth == 0] == [
        *("threads", "stability", "speed", "gap", "batchnorm", "memory")
    ]
    for node in nodes:
        assert node.explanation
        assert node.source
        if node.id != "batchnorm":  # without BatchNorm there is nothing to hold the micro batch against
            assert any(reading.threshold is not None for reading in node.readings), node.id


def test_the_path_ends_where_the_decision_falls() -> None:
    lit = {node.id: node.lit for node in assess(sick(nonfinite=True), Limits()).tree}
    assert lit == {name: name in ("threads", "stability", "norms") for name in lit}


@pytest.mark.parametrize(
    ("verdicts", "factor", "certainty"),
    [
        ({"nonfinite": True}, 0.1, Certainty.HIGH),
        ({"blown_up": True}, 0.1, Certainty.HIGH),
        ({"lost_progress": True}, 0.5, Certainty.MEDIUM),
        # The step is too long even where noise is large.
        ({"lost_progress": True, "oscillating": True}, 0.5, Certainty.MEDIUM),
    ],
)
def test_a_step_too_long_lowers_the_learning_rate(
    verdicts: dict[str, Any], factor: float, certainty: Certainty
) -> None:
    advice = advice_for(with_(sick(**verdicts), noise_scale=known(10_000)))
    assert advice.action is Action.LEARNING_RATE
    assert advice.new_learning_rate == pytest.approx(CALM.learning_rate * factor)
    assert advice.new_batch_size == advice.batch_size
    assert advice.certainty is certainty


@pytest.mark.parametrize(
    ("noise", "limits", "action", "batch"),
    [
        # B against C, settled by the noise scale: above 4 x 32 noise is the cause.
        (known(1000), Limits(), Action.BATCH, 64),
        (known(1000), Limits(maximum=40), Action.LEARNING_RATE, 32),
        (known(64), Limits(), Action.LEARNING_RATE, 32),
        (NoiseScale(), Limits(), Action.LEARNING_RATE, 32),
        (NoiseScale(None, 500.0, None, 64), Limits(), Action.BATCH, 64),
        (NoiseScale(None, 20.0, None, 64), Limits(), Action.LEARNING_RATE, 32),
    ],
)
def test_oscillation(noise: NoiseScale, limits: Limits, action: Action, batch: int) -> None:
    advice = advice_for(with_(sick(oscillating=True), noise_scale=noise), limits)
    assert (advice.action, advice.new_batch_size) == (action, batch)
    expected = 1.0 if action is Action.BATCH else 0.5
    assert advice.new_learning_rate == pytest.approx(CALM.learning_rate * expected)


def test_oscillation_without_an_estimate_quotes_both_documents() -> None:
    advice = advice_for(with_(sick(oscillating=True), noise_scale=NoiseScale()))
    assert "B section 5" in advice.source
    assert "C part 10" in advice.source
    assert "C says larger batch, B says smaller" in advice.why


@pytest.mark.parametrize(
    ("batch", "noise", "action", "new"),
    [(64, known(64), Action.BATCH, 32), (8, known(8), Action.NONE, 8), (64, known(5000), Action.NONE, 64)],
)
def test_barely_moving(batch: int, noise: NoiseScale, action: Action, new: int) -> None:
    evidence = with_(sick(barely_moving=True), batch_size=batch, noise_scale=noise)
    advice = advice_for(evidence)
    assert (advice.action, advice.new_batch_size) == (action, new)
    assert advice.new_learning_rate == evidence.learning_rate


@pytest.mark.parametrize(
    ("changes", "action", "batch", "node"),
    [
        # B* = sqrt(16 x B_noise).
        ({"noise_scale": known(64 * 16)}, Action.BATCH, 128, "goodput"),
        ({"noise_scale": known(64 * 10_000)}, Action.BATCH, 128, "goodput"),  # 4x at most
        ({"noise_scale": known(1)}, Action.BATCH, 8, "goodput"),
        ({"noise_scale": known(64 * 2)}, Action.KEEP, 32, ""),  # flat
        # The interval reaches back over the present size: silent.
        ({"noise_scale": NoiseScale(1024.0, 20.0, 9000.0, 30)}, Action.KEEP, 32, ""),
        ({"noise_scale": NoiseScale(4.0, 1.0, 400.0, 30)}, Action.KEEP, 32, ""),
        # Only a lower bound: it may argue for larger, never for smaller.
        ({"noise_scale": NoiseScale(None, 1024.0, None, 30)}, Action.BATCH, 128, "goodput"),
        ({"noise_scale": NoiseScale(None, 1.0, None, 30)}, Action.KEEP, 32, ""),
        # Waiting for data: a larger batch does not help, whatever goodput says.
        (
            {"noise_scale": known(1024), "data_wait_share": 0.5, "gpu_utilisation_percent": 20},
            Action.NONE,
            32,
            "data_wait",
        ),
        ({"noise_scale": known(1024), "data_wait_share": 0.5}, Action.KEEP, 32, ""),
        # Nothing known of goodput: the documents' tree, one step.
        ({"throughput": (), "gpu_utilisation_percent": 20}, Action.BATCH, 64, "speed"),
        ({"throughput": (), "gpu_utilisation_percent": 90}, Action.KEEP, 32, ""),
        ({"throughput": (), "gpu_utilisation_percent": None}, Action.KEEP, 32, ""),
        ({"throughput": (), "gpu_utilisation_percent": 20, "noise_scale": known(10)}, Action.KEEP, 32, ""),
        # The table of 480 samples caps what speed may ask for.
        ({"noise_scale": known(64 * 16), "dataset_size": 480}, Action.BATCH, 64, "goodput"),
        # Memory caps it, too.
        ({"noise_scale": known(64 * 16), "fences": (128,)}, Action.BATCH, 64, "goodput"),
        ({"noise_scale": known(64 * 16), "memory_peak_bytes": 5 * GIB}, Action.KEEP, 32, ""),
    ],
)
def test_speed(changes: dict[str, Any], action: Action, batch: int, node: str) -> None:
    advice = advice_for(with_(CALM, **changes))
    assert (advice.action, advice.new_batch_size, advice.node) == (action, batch, node)


@pytest.mark.parametrize("batch", [128, 256])
def test_the_documents_step_up_ends_at_128(batch: int) -> None:
    evidence = with_(CALM, batch_size=batch, throughput=(), gpu_utilisation_percent=20, noise_scale=NoiseScale())
    assert advice_for(evidence).action is Action.KEEP


@pytest.mark.parametrize(("batch", "new"), [(240, 64), (256, 64), (480, 128), (128, 128)])
def test_too_few_updates_per_epoch(batch: int, new: int) -> None:
    """2 of 480 samples' epoch are too few; 3.75 are marginal, and only shown. One move is a factor of four."""
    evidence = with_(CALM, batch_size=batch, dataset_size=480, throughput=(), noise_scale=NoiseScale())
    assert advice_for(evidence).new_batch_size == new


def test_a_gap_forbids_a_larger_batch_for_speed() -> None:
    evidence = with_(sick(overfitting=True), noise_scale=known(1024))
    assert advice_for(evidence).node == "gap"


@pytest.mark.parametrize(
    ("batch", "limits", "action", "new"),
    [
        (32, Limits(), Action.NONE, 32),
        (64, Limits(), Action.BATCH, 16),
        (256, Limits(), Action.BATCH, 64),
        (64, Limits(minimum=64), Action.NONE, 64),
    ],
)
def test_gap(batch: int, limits: Limits, action: Action, new: int) -> None:
    flat = known(batch**2 / 16)  # B* is the present size
    advice = advice_for(with_(sick(overfitting=True), batch_size=batch, noise_scale=flat), limits)
    assert (advice.node, advice.action, advice.new_batch_size) == ("gap", action, new)


@pytest.mark.parametrize(
    ("batch", "micro", "changes", "limits", "action", "new"),
    [
        (32, 8, {}, Limits(), Action.MICRO_BATCH, (32, 32)),
        (64, 1, {}, Limits(), Action.MICRO_BATCH, (64, 32)),
        (32, 8, {"fences": (24,)}, Limits(), Action.MICRO_BATCH, (32, 16)),
        (32, 8, {"fences": (16,)}, Limits(), Action.NONE, (32, 8)),
        (20, 10, {}, Limits(), Action.MICRO_BATCH, (20, 20)),
        (8, 8, {}, Limits(), Action.BATCH, (16, 16)),
        (2, 2, {}, Limits(), Action.BATCH, (16, 16)),
        (8, 8, {}, Limits(maximum=12), Action.NONE, (8, 8)),
        (16, 16, {}, Limits(), Action.KEEP, (16, 16)),
    ],
)
def test_batchnorm(
    batch: int, micro: int, changes: dict[str, Any], limits: Limits, action: Action, new: tuple[int, int]
) -> None:
    quiet = {"throughput": (), "noise_scale": NoiseScale(), "memory_peak_bytes": None}
    evidence = replace(CALM, batch_size=batch, micro_batch_size=micro, has_batchnorm=True, **{**quiet, **changes})
    advice = advice_for(evidence, limits)
    assert (advice.action, (advice.new_batch_size, advice.new_micro_batch_size)) == (action, new)


def test_class_mix() -> None:
    evidence = with_(CALM, batch_size=4, throughput=(), noise_scale=NoiseScale())
    advice = advice_for(evidence)
    assert (advice.node, advice.new_batch_size) == ("class_mix", 8)
    assert advice_for(evidence, Limits(maximum=6)).action is Action.KEEP


@pytest.mark.parametrize(
    ("micro", "batchnorm", "action", "new"),
    [(32, False, Action.MICRO_BATCH, 16), (32, True, Action.MICRO_BATCH, 16), (24, True, Action.NONE, 24)],
)
def test_memory(micro: int, batchnorm: bool, action: Action, new: int) -> None:
    evidence = replace(
        CALM,
        batch_size=96,
        micro_batch_size=micro,
        has_batchnorm=batchnorm,
        throughput=(),
        memory_peak_bytes=int(7.9 * GIB),
    )
    advice = advice_for(evidence)
    assert (advice.node, advice.action, advice.new_micro_batch_size) == ("memory", action, new)
    assert advice.new_batch_size == 96


def test_threads_come_before_any_batch_size() -> None:
    crowded = with_(sick(nonfinite=True), threads=4, load_average=8.0, step_time_variation=0.8)
    advice = advice_for(crowded)
    assert (advice.node, advice.action, advice.title) == ("threads", Action.NONE, "Use 3 threads")


def test_a_recommendation_says_what_to_expect() -> None:
    forecasts = (MemoryForecast(128, 3 * GIB, 8 * GIB, True),)
    evidence = with_(CALM, noise_scale=known(1024), forecasts=forecasts, optimizer_family=OptimizerFamily.SGD)
    advice = advice_for(evidence)
    assert (advice.new_batch_size, advice.new_micro_batch_size, advice.new_accumulation_steps) == (128, 128, 1)
    assert advice.prediction.peak_bytes == 3 * GIB
    assert advice.prediction.samples_per_second == pytest.approx(128 / 0.144)
    assert advice.prediction.statistical_efficiency == pytest.approx(1024 / 1152)
    assert advice.prediction.relative_time == pytest.approx((0.144 / 128 * 1152) / (0.048 / 32 * 1056))
    assert advice.learning_rate_rule == "gain"
    assert advice.new_learning_rate == pytest.approx(1e-3 * (1 + 32) / (1 + 8))
    assert advice.certainty is Certainty.HIGH
    assert advice.source
    assert advice.certainty_reason
    assert advice.changes_mind


def test_a_lower_bound_bounds_what_to_expect() -> None:
    advice = advice_for(with_(CALM, noise_scale=NoiseScale(None, 1024.0, None, 64, "split")))
    assert advice.new_batch_size == 128
    assert advice.prediction.is_bound
    assert advice.prediction.statistical_efficiency == pytest.approx(1024 / 1152)
    assert advice.prediction.relative_time == pytest.approx((0.144 / 128 * 1152) / (0.048 / 32 * 1056))
    assert "at least" in advice.why


def test_what_a_smaller_batch_takes_is_not_told_from_a_lower_bound() -> None:
    evidence = with_(sick(overfitting=True), batch_size=256, noise_scale=NoiseScale(None, 1024.0, None, 64, "split"))
    advice = advice_for(evidence)
    assert advice.new_batch_size == 64
    assert advice.prediction.relative_time is None


def test_adam_above_the_noise_scale_is_warned_of_the_surge() -> None:
    # A step that is nearly all fixed cost asks for a batch above the noise scale.
    evidence = with_(CALM, noise_scale=known(40), throughput=line(1.0, 0.001), optimizer_family=OptimizerFamily.ADAM)
    advice = advice_for(evidence)
    assert advice.new_batch_size == 128
    assert "Adam" in advice.changes_mind


def test_nothing_wrong_with_the_steady_health() -> None:
    assert STEADY.unstable is False
    assert not STEADY.step_too_long
