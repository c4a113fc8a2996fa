"""What holds for any evidence: bounds, BatchNorm's floor, silence, and more memory never meaning less."""

from __future__ import annotations

import math
from dataclasses import replace

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from bsmon.advisor.bounds import BATCHNORM_FLOOR, bounds, fits, largest_micro_batch
from bsmon.advisor.evidence import Evidence, Limits
from bsmon.advisor.goodput import LARGEST_MOVE, ThroughputPoint, best_batch_size
from bsmon.advisor.health import Health
from bsmon.advisor.scaling import OptimizerFamily
from bsmon.advisor.tree import assess
from bsmon.core.advice import Action, Advice, Answer, NoiseScale
from bsmon.core.commands import LearningRateRule
from bsmon.core.snapshot import MemoryForecast
from tests.unit.advisor.builders import CALM, GIB, advice_for, known, line

maybe = st.none() | st.booleans()
share = st.none() | st.floats(0, 1)


@st.composite
def noise_scales(draw: st.DrawFn) -> NoiseScale:
    kind = draw(st.sampled_from(["none", "bound", "interval"]))
    value = draw(st.floats(0.5, 1e6))
    if kind == "none":
        return NoiseScale()
    low = value / draw(st.floats(1, 50))
    return NoiseScale(None, low, None, 64) if kind == "bound" else NoiseScale(value, low, value * 3, 64)


@st.composite
def evidences(draw: st.DrawFn) -> Evidence:
    batch = draw(st.integers(1, 2048))
    points = st.builds(ThroughputPoint, st.integers(1, 2048), st.just(30), st.floats(1e-4, 10), st.floats(0, 0.01))
    health = st.builds(Health, maybe, maybe, maybe, maybe, maybe, maybe)
    return Evidence(
        batch_size=batch,
        micro_batch_size=draw(st.integers(1, batch)),
        learning_rate=draw(st.floats(1e-6, 1)),
        learning_rate_rule=draw(st.sampled_from(list(LearningRateRule))),
        optimizer_family=draw(st.none() | st.sampled_from(list(OptimizerFamily))),
        dataset_size=draw(st.none() | st.integers(batch, 10**6)),
        has_batchnorm=draw(maybe),
        class_probabilities=draw(st.none() | st.lists(st.floats(0.01, 1), min_size=1, max_size=20).map(tuple)),
        health=draw(health),
        train_accuracy=draw(share),
        validation_accuracy=draw(share),
        noise_scale=draw(noise_scales()),
        throughput=draw(st.lists(points, max_size=4).map(tuple)),
        gpu_utilisation_percent=draw(st.none() | st.floats(0, 100)),
        data_wait_share=draw(share),
        memory_peak_bytes=draw(st.none() | st.integers(1, 16 * GIB)),
        memory_limit_bytes=draw(st.none() | st.integers(1, 16 * GIB)),
        fences=draw(st.lists(st.integers(batch, 4096), max_size=2).map(tuple)),
    )


@st.composite
def limits_around(draw: st.DrawFn, batch: int) -> Limits:
    """Bounds of the person's own that the present size keeps."""
    return Limits(draw(st.integers(1, batch)), draw(st.none() | st.integers(batch, 8192)))


def changes_batch(advice: Advice) -> bool:
    return advice.new_batch_size != advice.batch_size


@settings(max_examples=120, deadline=None)
@given(st.data())
def test_advice_stays_within_every_limit(data: st.DataObject) -> None:
    evidence = data.draw(evidences())
    limits = data.draw(limits_around(evidence.batch_size))
    advice = advice_for(evidence, limits)
    new, micro = advice.new_batch_size, advice.new_micro_batch_size
    assert micro is not None
    assert 1 <= micro <= new
    assert advice.new_accumulation_steps == -(-new // micro)
    assert math.isfinite(advice.new_learning_rate)
    assert advice.new_learning_rate > 0
    if not changes_batch(advice):
        return
    assert advice.action is Action.BATCH
    assert limits.minimum <= new
    assert limits.maximum is None or new <= limits.maximum
    assert evidence.dataset_size is None or new <= evidence.dataset_size
    assert new & (new - 1) == 0
    floor_move = evidence.has_batchnorm and evidence.batch_size < BATCHNORM_FLOOR
    assert evidence.batch_size / LARGEST_MOVE <= new
    assert new <= evidence.batch_size * LARGEST_MOVE or (floor_move and new == BATCHNORM_FLOOR)
    assert all(micro < fence for fence in evidence.fences)
    assert fits(evidence, micro) is not False


@settings(max_examples=120, deadline=None)
@given(st.data())
def test_never_below_the_floor_of_batchnorm(data: st.DataObject) -> None:
    evidence = replace(data.draw(evidences()), has_batchnorm=True)
    advice = advice_for(evidence, data.draw(limits_around(evidence.batch_size)))
    if advice.action in (Action.BATCH, Action.MICRO_BATCH):
        assert advice.new_micro_batch_size is not None
        assert advice.new_micro_batch_size >= BATCHNORM_FLOOR


@settings(deadline=None)
@given(evidences())
def test_no_evidence_breaks_the_tree(evidence: Evidence) -> None:
    view = assess(evidence, Limits())
    assert view.advice is not None
    assert len({node.id for node in view.tree}) == len(view.tree)
    lit = [node.lit for node in view.tree]
    assert lit == sorted(lit, reverse=True)


@settings(deadline=None)
@given(st.floats(0.55, 1.8), st.integers(0, 9))
def test_silent_in_the_flat_region(times: float, power: int) -> None:
    """Whatever the size: B* within a factor of 1.8 of it, exactly known, is no reason to move."""
    batch = 1 << power
    wanted = batch * times
    evidence = replace(
        CALM,
        batch_size=batch,
        micro_batch_size=batch,
        dataset_size=10**6,
        throughput=line(0.016, 0.001),
        noise_scale=known(wanted**2 / 16),
        class_probabilities=None,
        gpu_utilisation_percent=None,
    )
    advice = advice_for(evidence)
    if changes_batch(advice):
        # Rounding to a power of two may reach the next one only where that is worth at least 5 %.
        assert advice.prediction.relative_time is not None
        assert advice.prediction.relative_time <= 0.95
        assert advice.new_batch_size in (batch // 2, batch * 2)
    if 2**-0.5 < times < 2**0.5:
        assert advice.action is Action.KEEP


@settings(deadline=None)
@given(st.floats(1, 1e6), st.floats(1, 1e3), st.floats(1, 1e3), st.integers(0, 11))
def test_silent_under_noise(value: float, down: float, up: float, power: int) -> None:
    """No move by goodput where the interval of the noise scale holds the present size for best."""
    batch = 1 << power
    scale = NoiseScale(value, value / down, value * up, 30)
    evidence = replace(
        CALM,
        batch_size=batch,
        micro_batch_size=batch,
        dataset_size=None,
        class_probabilities=None,
        gpu_utilisation_percent=None,
        noise_scale=scale,
    )
    fit = evidence.step_time
    assert fit is not None
    assume(best_batch_size(fit, value / down) <= batch <= best_batch_size(fit, value * up))
    assert advice_for(evidence).action is Action.KEEP


@settings(deadline=None)
@given(evidences(), st.integers(1, 16 * GIB), st.integers(1, 16 * GIB))
def test_more_memory_never_allows_less(evidence: Evidence, first: int, second: int) -> None:
    less, more = sorted((first, second))
    found = [largest_micro_batch(replace(evidence, memory_limit_bytes=limit)) for limit in (less, more)]
    assert (found[0] is None) == (found[1] is None)
    if found[0] is not None and found[1] is not None:
        assert found[0] <= found[1]


@settings(deadline=None)
@given(st.integers(1, 16 * GIB), st.integers(1, 16 * GIB))
def test_more_memory_never_means_a_smaller_size(first: int, second: int) -> None:
    less, more = sorted((first, second))
    evidence = replace(CALM, noise_scale=known(1e5))
    sizes = [advice_for(replace(evidence, memory_limit_bytes=limit)).new_batch_size for limit in (less, more)]
    assert sizes[0] <= sizes[1]


@settings(deadline=None)
@given(st.integers(1, 64), st.integers(1, 8 * GIB), st.booleans())
def test_what_fits_fits_smaller_too(micro: int, peak: int, good: bool) -> None:
    forecast = MemoryForecast(64, peak, 4 * GIB, good)
    evidence = replace(CALM, micro_batch_size=8, forecasts=(forecast,))
    if fits(evidence, micro):
        assert all(fits(evidence, smaller) for smaller in range(1, micro))


def test_bounds_may_leave_nothing() -> None:
    assert bounds(replace(CALM, has_batchnorm=True), Limits(maximum=12)) is None


def test_unknown_is_an_answer_for_every_missing_field() -> None:
    """Taking away one piece of evidence never turns a no into a yes."""
    names = ("health", "noise_scale", "dataset_size", "class_probabilities", "memory_peak_bytes", "data_wait_share")
    empty = Evidence(batch_size=32, micro_batch_size=32, learning_rate=1e-3)
    for name in names:
        without = replace(CALM, **{name: getattr(empty, name)})
        answers = {node.id: node.answer for node in assess(CALM, Limits()).tree}
        for node in assess(without, Limits()).tree:
            assert node.answer in (answers[node.id], Answer.UNKNOWN), (name, node.id)
