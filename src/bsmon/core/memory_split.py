"""Who holds a GPU's memory: NVML's numbers and those of torch's allocator put together."""

from __future__ import annotations

from dataclasses import dataclass

from bsmon.core.records import GpuSample, TorchMemory


@dataclass(frozen=True, slots=True)
class MemorySplit:
    """Bytes, adding up to `total`. `context` None: not told apart from `others`, which then holds both.

    tensors: this run's; cached: kept by torch's allocator for reuse; context: CUDA's own in this process; others: other
    processes; system: reserved by driver and firmware.
    """

    total: int
    tensors: int
    cached: int
    context: int | None
    others: int
    system: int
    free: int


def memory_split(gpu: GpuSample, torch: TorchMemory | None) -> MemorySplit | None:
    """Split the memory of the run's GPU; None where NVML or torch does not know enough.

    The two are read moments apart: where torch has more than NVML saw, the rest is cut so that the parts still add up.
    """
    total, free = gpu.memory_total_bytes, gpu.memory_free_bytes
    if total is None or free is None or torch is None:
        return None
    system = min(gpu.memory_reserved_bytes or 0, total - free)
    used = total - free - system
    tensors = min(torch.allocated_bytes, used)
    cached = min(max(torch.reserved_bytes - torch.allocated_bytes, 0), used - tensors)
    rest = used - tensors - cached
    context = None
    if gpu.own_process_bytes is not None:
        context = min(max(gpu.own_process_bytes - torch.reserved_bytes, 0), rest)
    return MemorySplit(
        total=total,
        tensors=tensors,
        cached=cached,
        context=context,
        others=rest - (context or 0),
        system=system,
        free=free,
    )
