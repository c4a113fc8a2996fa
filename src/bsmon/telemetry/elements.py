"""Statistics over the elements of a gradient, for all of it and for every layer by itself."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def element_sums(piece: Tensor) -> Tensor:
    """Sum, sum of |g|, sum of g^2, least and greatest of a vector with elements; shape (5,).

    On the CPU `std`, `var_mean` and the norms of other orders than 2 are 5 to 10 times slower than these together.
    """
    low, high = torch.aminmax(piece)
    return torch.stack((piece.sum(), piece.abs().sum(), torch.dot(piece, piece), low, high))


def deviation(total: float, squares: float, elements: int) -> float | None:
    """The standard deviation over elements, with elements - 1; from their sum and their squares'."""
    if elements < 2:
        return None
    return root((squares - total * total / elements) / (elements - 1))


def root(square: float) -> float:
    """Of what rounding may have put below 0."""
    return math.sqrt(square) if square > 0 else 0.0 if square <= 0 else math.nan


def ratio(above: float | None, below: float | None) -> float | None:
    """None where either is unknown, or nothing."""
    return None if above is None or not below else above / below


def finite(value: float | None) -> float | None:
    """None for what is no finite number."""
    return value if value is not None and math.isfinite(value) else None
