"""One probe's share of a measured step: numbers still on the device, and what they mean once they are here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from bsmon.core.gradients import Measurement
from bsmon.telemetry.parameters import exact_type

Decode = Callable[[Sequence[float]], Measurement | None]


@dataclass(frozen=True, slots=True)
class Part:
    """`values` is a 1-d tensor; `decode` makes a record of its numbers, or None where they are not usable."""

    values: Tensor
    decode: Decode


@dataclass(frozen=True, slots=True)
class Layout:
    """Which numbers of the joined result belong to which part."""

    parts: tuple[tuple[int, Decode], ...]

    def decode(self, values: Sequence[float]) -> Iterator[Measurement]:
        """The records of all parts that have one."""
        start = 0
        for length, decode in self.parts:
            record = decode(values[start : start + length])
            start += length
            if record is not None:
                yield record


def join(parts: Sequence[Part]) -> tuple[Layout, Tensor]:
    """All parts as one 1-d tensor, so that a step is copied to the host once, and how to take it apart again."""
    kind = exact_type(parts[0].values.device)
    layout = Layout(tuple((part.values.numel(), part.decode) for part in parts))
    return layout, torch.cat([part.values.to(kind) for part in parts])
