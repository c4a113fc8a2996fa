"""Torch's own allocator, read without making the GPU or the training thread wait.

Torch is used only if the run has imported it already, and CUDA only if the run has started it.
"""

from __future__ import annotations

import sys
from typing import Any

from bsmon.core.records import TorchMemory


def read_torch_memory(device: str) -> TorchMemory | None:
    """The allocator's state on "cuda", "cuda:1" (ROCm too) or "mps"; None on a CPU and before torch has started.

    The numbers come from counters that the allocator keeps on the host: no call to the GPU, no synchronisation.
    """
    torch = sys.modules.get("torch")
    kind = device.partition(":")[0]
    if torch is None:
        return None
    if kind == "cuda":
        return _cuda(torch, device)
    if kind == "mps":
        return _mps(torch)
    return None


def device_uuid(device: str) -> str | None:
    """The UUID of a CUDA device as torch knows it, without "GPU-" in front; None for other devices and on ROCm.

    For the engine to call once CUDA has started: it is what tells NVML's GPUs apart.
    """
    torch = sys.modules.get("torch")
    if torch is None or device.partition(":")[0] != "cuda" or not torch.cuda.is_initialized():
        return None
    if torch.version.hip:
        return None  # HIP's UUIDs are not those that amdsmi gives
    uuid = getattr(torch.cuda.get_device_properties(torch.device(device)), "uuid", None)
    return None if uuid is None else str(uuid)


def _cuda(torch: Any, device: str) -> TorchMemory | None:
    if not torch.cuda.is_initialized():
        return None
    statistics = torch.cuda.memory_stats(torch.device(device))
    if "allocated_bytes.all.current" not in statistics:
        return None  # another allocator backend (cudaMallocAsync in old releases) keeps none
    return TorchMemory(
        allocated_bytes=statistics["allocated_bytes.all.current"],
        reserved_bytes=statistics["reserved_bytes.all.current"],
        peak_bytes=statistics["allocated_bytes.all.peak"],
        alloc_retries=statistics.get("num_alloc_retries", 0),
        ooms=statistics.get("num_ooms", 0),
        inactive_split_bytes=statistics.get("inactive_split_bytes.all.current"),
    )


def _mps(torch: Any) -> TorchMemory | None:
    if not torch.backends.mps.is_available():
        return None
    return TorchMemory(
        allocated_bytes=torch.mps.current_allocated_memory(),
        reserved_bytes=torch.mps.driver_allocated_memory(),
        peak_bytes=None,
    )
