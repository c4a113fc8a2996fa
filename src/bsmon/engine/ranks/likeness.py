"""What has to be the same on every rank, so that code that builds something else in each process is named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

from bsmon.core.errors import BadInput
from bsmon.core.text import clean
from bsmon.engine.build import Parts

_SAME = "what your code builds must be the same on every rank"


@dataclass(frozen=True, slots=True)
class Likeness:
    """What one rank has built: its number of training samples, and every weight in words, in the model's order."""

    samples: int
    weights: Sequence[str]


def likeness(parts: Parts) -> Likeness:
    """Of this rank."""
    weights = tuple(
        f"{clean(name)} {list(p.shape)} {p.dtype}{'' if p.requires_grad else ', frozen'}"
        for name, p in parts.model.named_parameters()
    )
    return Likeness(parts.info.train_samples or 0, weights)


def check_alike(path: str, first: Likeness, own: Likeness) -> None:
    """Raise BadInput where this rank has built something else than rank 0: gradients could not be added up.

    `path`: of the config.
    """
    if own.samples != first.samples:
        raise BadInput(f"{path}: [data] has {own.samples:,} training samples, on rank 0 {first.samples:,}; {_SAME}")
    for here, there in zip_longest(own.weights, first.weights, fillvalue="nothing"):
        if here != there:
            raise BadInput(f"{path}: [model] has {here} where rank 0 has {there}; {_SAME}")
