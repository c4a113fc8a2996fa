"""How many distinct classes a batch holds: guidelines B, section 4 (long-tailed data, weighted sampler)."""

from __future__ import annotations

import math
from collections.abc import Sequence

# The document gives no number ("very few distinct classes"). Half of ten classes, or of as many as there are, is
# what batches of 8, the smallest that documents B and C recommend, hold with ten even classes (5.7).
ENOUGH_CLASSES = 10
ENOUGH_SHARE = 0.5

SOURCE = "B section 4"


def expected_distinct_classes(probabilities: Sequence[float], batch_size: int) -> float:
    """Expected number of distinct classes among `batch_size` independent draws: sum of 1 - (1 - p)^B.

    `probabilities` are the chances of each class in one draw, as the sampler gives them; they need not add up to 1.
    """
    total = math.fsum(probabilities)
    if total <= 0 or min(probabilities) < 0:
        raise ValueError("class probabilities must not be negative, and one must be positive")
    return math.fsum(1 - (1 - probability / total) ** batch_size for probability in probabilities)


def enough_classes(classes: int) -> float:
    """How many distinct classes a batch should hold on average, where there are `classes` in all."""
    return min(classes, ENOUGH_CLASSES) * ENOUGH_SHARE


def smallest_batch_size(probabilities: Sequence[float], largest: int) -> int | None:
    """The smallest power of two, at most `largest`, whose batches hold enough classes; None where none does."""
    wanted = enough_classes(sum(1 for probability in probabilities if probability > 0))
    size = 1
    while size <= largest:
        if expected_distinct_classes(probabilities, size) >= wanted:
            return size
        size *= 2
    return None
