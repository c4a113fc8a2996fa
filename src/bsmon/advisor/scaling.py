"""How the learning rate follows a change of the batch size."""

from __future__ import annotations

import math
from enum import StrEnum

from bsmon.core.commands import LearningRateRule
from bsmon.core.errors import NotApplicable


class OptimizerFamily(StrEnum):
    """Optimizers by how their step answers to the size of a gradient."""

    SGD = "sgd"  # the step is proportional to the gradient
    ADAM = "adam"  # the step is the gradient divided by a running estimate of its size


_ADAPTIVE = frozenset(
    {
        *("adam", "adamw", "adamax", "nadam", "radam", "sparseadam"),
        *("rmsprop", "adagrad", "adadelta", "adafactor", "lion", "lamb"),
    }
)
_PROPORTIONAL = frozenset({"sgd", "asgd"})


def optimizer_family(name: str) -> OptimizerFamily | None:
    """The family of an optimizer's class name ("AdamW", "SGD"), any case; None for one that is not known."""
    key = name.strip().lower()
    if key in _ADAPTIVE:
        return OptimizerFamily.ADAM
    if key in _PROPORTIONAL:
        return OptimizerFamily.SGD
    return None


def resolve_rule(
    rule: LearningRateRule, *, optimizer_family: OptimizerFamily | None, noise_scale: float | None
) -> LearningRateRule:
    """The rule that AUTO stands for: gain where the noise scale is known, else by optimizer.

    For SGD, and for an optimizer that is not known, it is the linear rule of the guidelines (A section 1, B section
    3, C part 6); for the Adam family the square root (Malladi et al. 2022, "On the SDEs and Scaling Rules for
    Adaptive Gradient Algorithms").
    """
    if rule is not LearningRateRule.AUTO:
        return rule
    if noise_scale is not None:
        return LearningRateRule.GAIN
    return LearningRateRule.SQRT if optimizer_family is OptimizerFamily.ADAM else LearningRateRule.LINEAR


def learning_rate_factor(
    rule: LearningRateRule,
    old: int,
    new: int,
    *,
    optimizer_family: OptimizerFamily | None = None,
    noise_scale: float | None = None,
) -> float:
    """The factor on the learning rate when the batch size goes from `old` to `new` samples.

    linear: new / old (guidelines A1, B3, C6). sqrt: its square root. gain: (1 + noise_scale / old) / (1 + noise_scale
    / new), as in AdaScale SGD (Johnson et al. 2020), and its square root for the Adam family; it equals the plain
    rule far below the noise scale and stops growing above it.

    Raises NotApplicable for `gain` without a noise scale.
    """
    if old < 1 or new < 1:
        raise ValueError(f"batch sizes are 1 or more, got {old} and {new}")
    resolved = resolve_rule(rule, optimizer_family=optimizer_family, noise_scale=noise_scale)
    if resolved is LearningRateRule.UNCHANGED:
        return 1.0
    if resolved is LearningRateRule.LINEAR:
        return new / old
    if resolved is LearningRateRule.SQRT:
        return math.sqrt(new / old)
    if noise_scale is None:
        raise NotApplicable("The gain rule needs the gradient noise scale, which is not known yet.")
    gain = (1 + noise_scale / old) / (1 + noise_scale / new)
    return math.sqrt(gain) if optimizer_family is OptimizerFamily.ADAM else gain


def adam_surge(new: int, *, optimizer_family: OptimizerFamily | None, noise_scale: float | None) -> bool:
    """Whether `new` is so large that Adam's best learning rate may fall again (Li et al. 2024, "Surge Phenomenon").

    Under Adam the best learning rate rises up to about the noise scale and falls above it.
    """
    return optimizer_family is OptimizerFamily.ADAM and noise_scale is not None and new > noise_scale
