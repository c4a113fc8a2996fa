"""One weight of the person's choice: its value, and how its gradient scatters from step to step."""

from __future__ import annotations

import math
import re
from collections import deque
from collections.abc import Mapping, Sequence
from functools import partial
from statistics import fmean, stdev

import torch
from torch import Tensor

from bsmon.config.nearest import did_you_mean
from bsmon.core.errors import BadInput
from bsmon.core.gradients import ProbedWeight
from bsmon.core.text import clean
from bsmon.telemetry.parameters import exact_type
from bsmon.telemetry.part import Part

WINDOW = 128
"""Measured steps in the statistics over time."""

_FORM = re.compile(r"(?P<name>[^\s\[\]]+)\[(?P<index>\d+(?:\s*,\s*\d+)*)\]")


class WeightProbe:
    """Follows one element of one parameter, given as "fc1.weight[50,30]", indices counted from 0.

    The gradient's mean, standard deviation and extremes are over the last `WINDOW` measured steps at the present batch
    size (C, part 4 compares them between sizes), so a change of it starts them anew.
    """

    def __init__(self, text: str, parameters: Mapping[str, Tensor], *, where: str = "[telemetry] probe_weight") -> None:
        """`parameters`: all by name. Raises BadInput when there is no such weight; `where` names the config's key."""
        name, self._index = parse(text, parameters, where=where)
        self._parameter = parameters[name]
        self._name = clean(text)
        self._gradients: deque[float] = deque(maxlen=WINDOW)

    def restart(self) -> None:
        """Forget the gradients so far; the batch size changed."""
        self._gradients.clear()

    def measure(self, step: int) -> Part:
        """Read value and gradient before clipping and the update."""
        gradient = self._parameter.grad
        chosen = self._parameter.detach()[self._index].reshape(1)
        here = torch.full_like(chosen, math.nan) if gradient is None else _element(gradient, self._index)
        values = torch.cat([part.to(exact_type(part.device)) for part in (chosen, here)])
        return Part(values, partial(self._decode, step))

    def _decode(self, step: int, values: Sequence[float]) -> ProbedWeight | None:
        value, gradient = values
        if not math.isfinite(gradient):
            return None
        seen = self._gradients
        seen.append(gradient)
        mean = fmean(seen)
        std = stdev(seen) if len(seen) > 1 else None
        return ProbedWeight(
            step,
            self._name,
            value,
            gradient,
            mean,
            std,
            min(seen),
            max(seen),
            abs(mean) / std if std else None,
            len(seen),
        )


def _element(gradient: Tensor, index: tuple[int, ...]) -> Tensor:
    return (gradient.coalesce() if gradient.is_sparse else gradient.detach())[index].reshape(1)


def parse(text: str, parameters: Mapping[str, Tensor], *, where: str) -> tuple[str, tuple[int, ...]]:
    """("fc1.weight", (50, 30)) of "fc1.weight[50,30]"; raises BadInput unless that is one element of a parameter."""
    match = _FORM.fullmatch(text.strip())
    if match is None:
        raise BadInput(f'{where} = "{clean(text)}": write a parameter and an index, like "fc1.weight[50,30]"')
    name = match["name"]
    if name not in parameters:
        found = did_you_mean(name, parameters)
        raise BadInput(clean(f'{where} = "{text}": the model trains no parameter "{name}"; {found}'))
    index = tuple(int(number) for number in match["index"].split(","))
    shape = tuple(parameters[name].shape)
    if len(index) != len(shape) or any(i >= n for i, n in zip(index, shape, strict=True)):
        raise BadInput(clean(f'{where} = "{text}": {_range(name, shape)}'))
    return name, index


def _range(name: str, shape: tuple[int, ...]) -> str:
    if not shape:
        return f'"{name}" is a single number, which has no index'
    last = ",".join(str(n - 1) for n in shape)
    return f'"{name}" has the shape {"x".join(map(str, shape))}, so its last element is "{name}[{last}]"'
