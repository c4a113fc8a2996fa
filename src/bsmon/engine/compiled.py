"""torch.compile for a batch whose size may change while it trains."""

from __future__ import annotations

from typing import Any

import torch

from bsmon.engine.batches import Batch, tensors


class CompileCounter:
    """A compiler backend that counts what it compiles: each time costs seconds, and the person should know why."""

    def __init__(self) -> None:
        self.compiled = 0
        self._reported = 0
        self._inductor = torch._dynamo.lookup_backend("inductor")

    def __call__(self, graph: Any, inputs: Any) -> Any:
        """Compile one graph, as torch asks."""
        self.compiled += 1
        return self._inductor(graph, inputs)

    def take_new(self) -> int:
        """Graphs compiled since the last call."""
        new, self._reported = self.compiled - self._reported, self.compiled
        return new


def compile_model(model: torch.nn.Module, counter: CompileCounter) -> torch.nn.Module:
    """The model behind torch.compile; it shares the weights with `model`."""
    compiled: torch.nn.Module = torch.compile(model, backend=counter)  # type: ignore[assignment]  # a module stays one
    return compiled


def mark_batch_dynamic(batch: Batch) -> None:
    """Tell the compiler that the number of rows changes, so that one graph serves every batch size.

    "Maybe": a graph that needs a fixed size (a batch of 1, a model that asks for its size) still gets one.
    """
    for tensor in tensors(batch):
        if tensor.dim():
            torch._dynamo.maybe_mark_dynamic(tensor, 0)
