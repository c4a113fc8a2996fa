"""The gradient noise scale from one ordinary batch: an extra backward for half of its rows.

On a measured step a hook on the model's output sees the gradient that comes back from the loss. With the second half
of its rows set to zero, one extra backward from there gives the first half's share h of the gradient g; the second
half's is g - h. The training gradient passes on untouched. BatchNorm and dropout work, because it is one and the same
forward. Hooks of the person's own on tensors inside the model are called twice on such a step.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor
from torch.autograd.graph import GradientEdge, get_gradient_edge
from torch.utils.hooks import RemovableHandle

from bsmon.core.gradients import NoiseSample
from bsmon.core.text import clean
from bsmon.telemetry.cost import CostMeter
from bsmon.telemetry.guard import Untouched
from bsmon.telemetry.outputs import differentiable, replace
from bsmon.telemetry.parameters import flat, inner_products
from bsmon.telemetry.part import Part

SPLIT = "split"

MISMATCH = 1e-3
"""Largest |h + h' - g|^2 / |g|^2 at which the two halves count as adding up; half precision is off by 1e-5."""

MISSED = 3
"""Armed steps without a call of the model after which the probe gives up."""


def between_halves(first: int, second: int, products: tuple[float, float, float]) -> tuple[float, float]:
    """(S, G2) from (h.h, h.g, g.g), where h is the part of the mean gradient g that the first rows contribute.

    g1 = n/n1 h and g2 = n/n2 (g - h) are the mean gradients of n1 and n2 samples;
    S = |g1 - g2|^2 / (1/n1 + 1/n2) and G2 = g1.g2, both unbiased.
    """
    hh, hg, gg = products
    a, b = (first + second) / first, (first + second) / second
    g1g1, g1g2, g2g2 = a * a * hh, a * b * (hg - hh), b * b * (gg - 2 * hg + hh)
    return (g1g1 + g2g2 - 2 * g1g2) / (1 / first + 1 / second), g1g2


class SplitProbe:
    """Armed before a forward, finished after the backward. `reason` says why it cannot work here, "" while it can.

    The first time, the other half is run as well: h + h' = g shows that the whole loss came through the output that
    was split. It does not where the loss reads weights itself, or something the model keeps, or two forwards.
    """

    def __init__(self, model: torch.nn.Module, parameters: Sequence[Tensor], meter: CostMeter) -> None:
        self._model = model
        self._parameters = tuple(parameters)
        self._meter = meter
        self._guard = Untouched(model)
        self._handle: RemovableHandle | None = None
        self._rows = 0
        self._edges: list[GradientEdge] = []
        self._halves: list[list[Tensor | None]] = []
        self._inside = False
        self._proven = False
        self._missed = 0
        self.reason = "torch.compile frees what a second backward needs" if hasattr(model, "_orig_mod") else ""

    def arm(self, rows: int) -> None:
        """Measure the coming update of one batch of so many rows, two or more."""
        self.discard()
        self._rows = rows
        self._handle = self._model.register_forward_hook(self._on_forward)

    def discard(self) -> None:
        """Forget the update, and free what is kept of it."""
        if self._handle is not None:
            self._handle.remove()
            self._handle = None
        self._halves, self._edges = [], []
        self._rows = 0

    def _on_forward(self, module: torch.nn.Module, _inputs: object, output: object) -> object:
        if self._handle is None or not (torch.is_grad_enabled() and module.training):
            return None
        self._handle.remove()
        self._handle = None
        self._missed = 0
        try:
            return self._follow(output)
        except Exception as error:  # noqa: BLE001  # an output's class is the person's own, and copying it may do anything
            self.reason = clean(f"the model's output, a {type(output).__name__}, cannot be copied: {error}")[:160]
            return None

    def _follow(self, output: object) -> object:
        """Watch what comes back to an output; returns it, or a copy of it, to be used instead."""
        tensors = differentiable(output)
        if not tensors:
            self.reason = "the model's output has no gradient"
        if len(tensors) <= 1:
            for tensor in tensors:
                self._watch(tensor, tensor)
            return output
        # Where one output was made from another, a hook on the latter would see what comes back through the former as
        # well, twice in all. An alias of each sees only what the loss itself sends back.
        return replace(output, self._alias)

    def _alias(self, tensor: Tensor) -> Tensor:
        return self._watch(tensor.view_as(tensor), tensor)

    def _watch(self, seen: Tensor, output: Tensor) -> Tensor:
        # The edge is kept here and not in the hook: a node that owns a hook that owns the node is never freed.
        self._edges.append(get_gradient_edge(output))
        hook = partial(self._on_gradient, len(self._edges) - 1)
        seen.register_hook(hook)
        return seen

    def _on_gradient(self, output: int, incoming: Tensor) -> None:
        """Called in the middle of the backward, with what the loss sends to one output."""
        if self._inside or self.reason or output >= len(self._edges):
            return
        if incoming.dim() == 0 or incoming.shape[0] != self._rows:
            self.reason = _shape_reason(tuple(incoming.shape), self._rows)
            return
        self._inside = True
        try:
            with self._meter, self._guard:
                self._run(self._edges[output], incoming)
        except RuntimeError as error:
            # Out of memory, or a model that cannot be run backward twice: the training's own backward goes on.
            self.reason = f"a second backward fails: {clean(str(error).partition(chr(10))[0])[:160]}"
        finally:
            self._inside = False
        self.reason = self.reason or self._guard.reason
        if self.reason:
            self._halves = []

    def _run(self, edge: GradientEdge, incoming: Tensor) -> None:
        first = torch.zeros_like(incoming)
        first[: self._rows // 2] = incoming[: self._rows // 2]
        parts = [first] if self._proven else [first, incoming - first]
        self._halves = self._halves or [[None] * len(self._parameters) for _ in parts]
        for half, part in zip(self._halves, parts, strict=True):
            found = torch.autograd.grad(edge, self._parameters, part, retain_graph=True, allow_unused=True)
            half[:] = [b if a is None else a if b is None else a + b for a, b in zip(half, found, strict=True)]

    def finish(self, step: int, scale: Tensor) -> Part | None:
        """The result, read after the backward and unscaling, before clipping; `scale` as in MicroBatchSplit."""
        halves, rows, called = self._halves, self._rows, self._handle is None
        self.discard()
        if not called:
            self._missed += 1
            if self._missed >= MISSED:
                self.reason = "the model is not called as model(...)"
        gradients = [p.grad for p in self._parameters]
        if not halves or all(g is None for g in gradients):
            return None
        if any(g is not None and g.is_sparse for g in gradients):
            self.reason = "sparse gradients are not split"
            return None
        values = [scale.to(torch.float32), *_products(halves, gradients)]
        return Part(torch.cat([v.to(values[-1].dtype) for v in values]), partial(self._decode, step, rows))

    def _decode(self, step: int, rows: int, values: Sequence[float]) -> NoiseSample | None:
        if not all(map(math.isfinite, values)):
            return None
        scale, hh, hg, gg, *both = values
        if both and not self._proven:
            ss, sg, _ = both
            if ss / scale**2 - 2 * sg / scale + gg > MISMATCH * gg:
                self.reason = "part of the loss does not come through the model's output"
                return None
            self._proven = True
        if self.reason:
            return None
        first = rows // 2
        variance, squared_norm = between_halves(first, rows - first, (hh / scale**2, hg / scale, gg))
        return NoiseSample(step, rows, variance, squared_norm, SPLIT)


def _products(halves: Sequence[Sequence[Tensor | None]], gradients: Sequence[Tensor | None]) -> list[Tensor]:
    """(h.h, h.g, g.g), and the same with h + h' for h where the other half h' was run too."""
    whole = [flat(g) for g in gradients if g is not None]
    first, *other = [
        [
            g.new_zeros(1).expand(g.numel()) if h is None else flat(h)
            for h, g in zip(half, gradients, strict=True)
            if g is not None
        ]
        for half in halves
    ]
    found = [inner_products(first, whole)]
    if other:
        found.append(inner_products([a + b for a, b in zip(first, other[0], strict=True)], whole))
    return found


def _shape_reason(shape: tuple[int, ...], rows: int) -> str:
    if not shape:
        return "the model computes its own loss"
    return f"the model's output of shape {'x'.join(map(str, shape))} does not have the {rows} samples first"
