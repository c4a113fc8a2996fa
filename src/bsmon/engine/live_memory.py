"""Bytes of tensors that are alive, op by op: on fake tensors a forecast, on real ones a measurement and a limit.

Counts what torch's operators hand out. Scratch memory inside one operator is not seen: on the CPU that is nothing for
linear layers and attention, and was up to 24 % of the peak for convolutions (benchmarks/forecast.py). On CUDA the
allocator's own statistics are the better measurement.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from bsmon.engine.batches import Batch, tensors


class LiveMemory(TorchDispatchMode):
    """While entered, follows every storage that an operator returns until it is freed.

    `peak_bytes` is the most that was alive at once. `granularity`: each storage counts as a multiple of this many
    bytes (CUDA's allocator rounds up to 512). Above `limit_bytes` the operator's result is dropped and
    torch.OutOfMemoryError raised, as an allocator that has no more would do. Only the entering thread is followed
    (with the backward passes it starts), and only tensors on `device_type`. A compiled model runs uncompiled meanwhile.
    """

    def __init__(self, device_type: str = "cpu", granularity: int = 1, limit_bytes: int | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        self.current_bytes = 0
        self.peak_bytes = 0
        self._device_type = device_type
        self._granularity = granularity
        self._limit_bytes = limit_bytes
        self._alive: dict[int, tuple[int, weakref.ref[torch.UntypedStorage]]] = {}

    def hold(self, held: Iterable[torch.Tensor]) -> None:
        """Count tensors that were there before: weights, gradients, the optimizer's state, the batch."""
        for tensor in held:
            self._count(tensor)

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run the operator, then count what it returned."""
        result = func(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor):
            self._count(result)
        elif isinstance(result, (tuple, list)):
            self.hold(item for item in result if isinstance(item, torch.Tensor))
        return result

    def _count(self, tensor: torch.Tensor) -> None:
        # A sparse tensor has no storage of its own to follow.
        if tensor.device.type != self._device_type or tensor.layout is not torch.strided:
            return
        storage = tensor.untyped_storage()
        key = id(storage)  # torch keeps one Python object per storage for as long as the storage lives
        if key in self._alive:
            return
        size = -(-storage.nbytes() // self._granularity) * self._granularity
        if self._limit_bytes is not None and self.current_bytes + size > self._limit_bytes:
            raise torch.OutOfMemoryError(
                f"Memory budget of {self._limit_bytes:,} bytes exceeded: {self.current_bytes:,} in use, "
                f"{size:,} more asked for."
            )
        self._alive[key] = (size, weakref.ref(storage, lambda _: self._forget(key)))
        self.current_bytes += size
        self.peak_bytes = max(self.peak_bytes, self.current_bytes)

    def _forget(self, key: int) -> None:
        self.current_bytes -= self._alive.pop(key)[0]


def held_tensors(model: torch.nn.Module, optimizer: torch.optim.Optimizer, batch: Batch) -> list[torch.Tensor]:
    """What a step finds in memory: weights, buffers, gradients, the optimizer's state, the batch."""
    weights = list(model.parameters())
    gradients = [weight.grad for weight in weights if weight.grad is not None]
    state = [value for entry in optimizer.state.values() for value in tensors(entry)]
    return [*weights, *model.buffers(), *gradients, *state, *tensors(batch)]
