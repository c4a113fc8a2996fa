"""The tensors in a model's output, whatever it returns: a tensor, tuple, list, dict or dataclass, nested or not."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable

from torch import Tensor


def differentiable(output: object) -> list[Tensor]:
    """All tensors in it that a gradient can come back through, in order."""
    found: list[Tensor] = []

    def collect(tensor: Tensor) -> Tensor:
        found.append(tensor)
        return tensor

    replace(output, collect)
    return found


def replace(output: object, change: Callable[[Tensor], Tensor]) -> object:
    """A copy of the output with every differentiable tensor changed; other objects stay the same ones."""
    if isinstance(output, Tensor):
        return change(output) if output.grad_fn is not None else output
    if isinstance(output, dict):
        twin = copy.copy(output)
        for key, value in output.items():
            twin[key] = replace(value, change)
        return twin
    if isinstance(output, tuple | list):
        kind: Callable[..., object] = type(output)
        values = [replace(value, change) for value in output]
        return kind(*values) if hasattr(output, "_fields") else kind(values)
    if dataclasses.is_dataclass(output) and not isinstance(output, type):
        return _replace_fields(output, change)
    return output


def _replace_fields(output: object, change: Callable[[Tensor], Tensor]) -> object:
    # A copy and not dataclasses.replace, which would run the class's own __init__ and __post_init__ again.
    twin = copy.copy(output)
    for field in dataclasses.fields(output):  # type: ignore[arg-type]  # the caller made sure that it is a dataclass
        object.__setattr__(twin, field.name, replace(getattr(output, field.name), change))
    return twin
