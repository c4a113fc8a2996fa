"""Further records about gradients: the noise scale's samples, one probed weight, the table of layers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from bsmon.core.records import ClassMix, GradientStats, ProbedSpeed

LEAST_NOISE_SAMPLES = 16
"""Samples towards the gradient noise scale below which nothing is said of it."""


@dataclass(frozen=True, slots=True)
class NoiseSample:
    """One measurement towards the gradient noise scale, tr(Sigma) / |G|^2 (McCandlish et al. 2018).

    Each number is unbiased by itself and very noisy: divide sums over many samples, never one by the other.
    """

    step: int
    batch_size: int
    variance: float  # S: estimates tr(Sigma), the variance of one sample's gradient summed over its elements
    squared_norm: float  # G2: estimates |G|^2 of the true gradient; may be negative
    estimator: str  # "ranks", "micro-batches", "split" or "consecutive" (its ratio is biased high)


@dataclass(frozen=True, slots=True)
class ProbedWeight:
    """One weight of the person's choice, before the update, and its gradient over the measured steps so far.

    `snr` is |mean| / std of that gradient over time (C, part 4), over at most `window` steps at one batch size.
    """

    step: int
    name: str
    value: float
    gradient: float
    mean: float | None = None
    std: float | None = None
    minimum: float | None = None
    maximum: float | None = None
    snr: float | None = None
    window: int = 0


class LayerHealth(StrEnum):
    """What stands out about a parameter's gradient beside the others'."""

    NORMAL = "normal"
    VANISHING = "vanishing"
    EXPLODING = "exploding"
    NONFINITE = "non-finite"
    ABSENT = "absent"  # no gradient reached it


@dataclass(frozen=True, slots=True)
class Spread:
    """A gradient over its elements; `snr` is mean |g| / std (C, part 4). None where it is no finite number."""

    snr: float | None
    mean_abs: float | None
    std: float | None
    minimum: float | None
    maximum: float | None


@dataclass(frozen=True, slots=True)
class Layer:
    """The gradient of one parameter; `rms` is its norm / sqrt(elements), which compares across sizes."""

    name: str
    elements: int
    grad_norm: float | None
    rms: float | None
    weight_norm: float | None
    update_ratio: float | None
    health: LayerHealth
    spread: Spread | None = None


@dataclass(frozen=True, slots=True)
class LayerTable:
    """All parameters of one measured step, those that stand out most first."""

    step: int
    layers: tuple[Layer, ...]


Measurement = GradientStats | NoiseSample | ProbedWeight | LayerTable | ClassMix | ProbedSpeed
"""What is measured of a training step now and then."""
