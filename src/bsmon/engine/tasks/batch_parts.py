"""Inputs and targets of a batch, whichever way the data set gives them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from bsmon.core.errors import BadInput

TARGET_KEYS = ("labels", "label", "targets", "target", "y")
"""Where a dict batch has its targets; the first of these that it has."""


def inputs_and_targets(batch: Any) -> tuple[Any, Any]:
    """Split a batch that is a pair (inputs, targets) or a dict with one of TARGET_KEYS.

    Raises BadInput for anything else.
    """
    if type(batch) is tuple and len(batch) == 2:  # nearly always, and the other questions cost time in every step
        return batch
    if isinstance(batch, Mapping):
        for key in TARGET_KEYS:
            if key in batch:
                return {name: value for name, value in batch.items() if name != key}, batch[key]
        raise BadInput(
            f"a batch is a dict of {', '.join(map(str, batch))}: none of {', '.join(TARGET_KEYS)} to hold the model's "
            'output against; if the model computes its own loss, set loss.name = "model"'
        )
    if isinstance(batch, (tuple, list)) and len(batch) == 2:
        return batch[0], batch[1]
    size = f" of {len(batch)}" if isinstance(batch, (tuple, list)) else ""
    raise BadInput(
        f"a batch is a {type(batch).__name__}{size}; each sample must be a pair (inputs, targets) or a dict, "
        'or the model computes its own loss (loss.name = "model")'
    )


def call_model(model: nn.Module, inputs: Any) -> Any:
    """The model's output; a dict of inputs goes in as keyword arguments."""
    if type(inputs) is Tensor:
        return model(inputs)
    return model(**inputs) if isinstance(inputs, Mapping) else model(inputs)


def part_of(output: Any, name: str) -> Any:
    """`name` of an output that is a dict or has it as an attribute; None where there is none."""
    return output.get(name) if isinstance(output, Mapping) else getattr(output, name, None)


def scores_of(output: Any) -> Tensor:
    """The model's scores: its output itself, or its `logits`. Raises BadInput where there are none."""
    scores = output if isinstance(output, Tensor) else part_of(output, "logits")
    if not isinstance(scores, Tensor):
        raise BadInput(
            f"the model's output is a {type(output).__name__}; a built-in loss needs a tensor, or logits in it; "
            'set loss.name = "model" if the model computes its own loss'
        )
    return scores
