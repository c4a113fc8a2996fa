"""Evidence and loss traces for the advisor's tests."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

from bsmon.advisor.evidence import Evidence, Limits
from bsmon.advisor.goodput import ThroughputPoint
from bsmon.advisor.health import Health
from bsmon.advisor.loss_health import LossHealth
from bsmon.advisor.tree import assess
from bsmon.core.advice import Advice, NoiseScale, TreeNode

STEADY = Health(
    nonfinite=False,
    blown_up=False,
    oscillating=False,
    lost_progress=False,
    barely_moving=False,
    overfitting=False,
    times_start=0.4,
    rises=0,
    progress_lost=0.0,
    improvement=0.6,
    validation_rise=0.0,
)

GIB = 1 << 30


def line(fixed_s: float, per_sample_s: float, sizes: tuple[int, ...] = (8, 32, 128)) -> tuple[ThroughputPoint, ...]:
    """Step times exactly on t(B) = fixed_s + per_sample_s B."""
    return tuple(ThroughputPoint(size, 50, fixed_s + per_sample_s * size, 0.0) for size in sizes)


def known(value: float) -> NoiseScale:
    """A noise scale with a narrow interval."""
    return NoiseScale(value, value * 0.8, value * 1.25, 64, "split")


# Everything is known, and nothing is wrong: B* = sqrt(16 x 64) = 32.
CALM = Evidence(
    batch_size=32,
    micro_batch_size=32,
    learning_rate=1e-3,
    dataset_size=5000,
    has_batchnorm=False,
    class_probabilities=(0.1,) * 10,
    distinct_classes=9.5,
    step=1000,
    health=STEADY,
    train_accuracy=0.9,
    validation_accuracy=0.88,
    grad_norm=1.0,
    grad_norm_median=1.0,
    update_ratio=1e-3,
    noise_scale=known(64),
    throughput=line(0.016, 0.001),
    gpu_utilisation_percent=90,
    data_wait_share=0.02,
    step_time_variation=0.05,
    on_cpu=True,
    threads=3,
    cores=4,
    load_average=2.0,
    memory_peak_bytes=1 * GIB,
    memory_limit_bytes=8 * GIB,
)
NOTHING = Evidence(batch_size=32, micro_batch_size=32, learning_rate=1e-3)


def with_(evidence: Evidence, **changes: Any) -> Evidence:
    """`dataclasses.replace`, with a batch size that brings its micro batch along, and health by field."""
    if "batch_size" in changes:
        changes.setdefault("micro_batch_size", changes["batch_size"])
    return replace(evidence, **changes)


def sick(**verdicts: Any) -> Evidence:
    """CALM with some verdicts on the loss changed."""
    return replace(CALM, health=replace(STEADY, **verdicts))


def advice_for(evidence: Evidence, limits: Limits | None = None) -> Advice:
    """The tree's recommendation; there always is one."""
    advice = assess(evidence, limits or Limits()).advice
    assert advice is not None
    return advice


def node_of(evidence: Evidence, name: str) -> TreeNode:
    """One node of the tree by its id."""
    return next(node for node in assess(evidence, Limits()).tree if node.id == name)


def feed(health: LossHealth, losses: list[float], batch_size: int) -> None:
    """Feed a trace, step by step."""
    for loss in losses:
        health.step(loss, batch_size)


def good_trace(seed: int, steps: int, batch_size: int, spread: float = 1.0) -> list[float]:
    """A falling loss with the skewed noise of a classifier, smaller for larger batches, on a random course."""
    chance = random.Random(seed)
    start, floor = chance.uniform(0.7, 5.0), chance.uniform(0.02, 0.5)
    tau = steps * chance.uniform(0.05, 0.5)
    losses = []
    for step in range(steps):
        mean = floor + (start - floor) * 2.718281828 ** (-step / tau)
        # A batch's loss is a mean of B skewed losses: a gamma distribution of mean `mean`.
        shape = batch_size / spread**2
        losses.append(chance.gammavariate(shape, mean / shape))
    return losses
