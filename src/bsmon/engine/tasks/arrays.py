"""What arrays of inputs and targets say about a task: classes, tokens or real numbers."""

from __future__ import annotations

import math

from torch import Tensor

from bsmon.engine.tasks.task import Kind


def kind_of_targets(inputs: Tensor, targets: Tensor) -> tuple[Kind, int]:
    """What the targets are, and how many outputs a model needs for them: classes, vocabulary or numbers a sample.

    Whole numbers are classes (one a sample) or tokens (as many as the whole-number inputs have); floats are real
    numbers. Raises ValueError with a sentence for what is none of these.
    """
    if targets.is_floating_point():
        return "numbers", math.prod(targets.shape[1:])
    if int(targets.min()) < 0:
        raise ValueError(
            f"y has the whole number {int(targets.min())}, but classes count from 0; store real numbers as floats"
        )
    if targets.ndim == 1:
        return "classes", _classes(targets)
    if targets.shape == inputs.shape and targets.ndim == 2 and not inputs.is_floating_point():
        return "tokens", int(max(inputs.max(), targets.max())) + 1
    shape = " x ".join(map(str, targets.shape))
    raise ValueError(
        f"y is {shape} whole numbers: classes need one number a sample, tokens as many as x has, "
        "and real numbers are stored as floats"
    )


def _classes(targets: Tensor) -> int:
    classes = int(targets.max()) + 1
    if classes > max(2, len(targets)):
        raise ValueError(
            f"y goes up to {classes - 1:,} with {len(targets):,} samples: number the classes from 0, "
            "or store real numbers as floats"
        )
    return classes
