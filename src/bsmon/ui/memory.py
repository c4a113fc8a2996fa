"""Who holds a memory: the parts of the bar, for a GPU through NVML and torch, for the host through psutil."""

from __future__ import annotations

from dataclasses import dataclass

from bsmon.core.records import GpuSample, HostSample, TorchMemory
from bsmon.ui.roles import Role


@dataclass(frozen=True, slots=True)
class Part:
    """One holder's share, in bytes. The glyph tells it apart where there is no colour."""

    label: str
    size: int
    glyph: str
    role: Role


@dataclass(frozen=True, slots=True)
class Memory:
    """A memory with its holders; what they do not hold is free. Bytes."""

    total: int
    parts: list[Part]

    @property
    def used(self) -> int:
        """All that is held."""
        return sum(part.size for part in self.parts)

    @property
    def free(self) -> int:
        """What is left."""
        return max(0, self.total - self.used)


def host_memory(host: HostSample) -> Memory | None:
    """This run against everything else; None where the machine does not say."""
    total, available = host.memory_total_bytes, host.memory_available_bytes
    if not total or available is None:
        return None
    used = max(0, total - available)
    run = min(host.rss_bytes or 0, used)
    parts = [
        Part("run", run, "█", Role.MEMORY_RUN),
        Part("other", used - run, "▒", Role.MEMORY_OTHER),
    ]
    return Memory(total, parts)


def gpu_memory(gpu: GpuSample, torch: TorchMemory | None) -> Memory | None:
    """Tensors, torch's cache, and the rest: other processes and the CUDA context, which NVML does not part."""
    total, used = gpu.memory_total_bytes, gpu.memory_used_bytes
    if not total or used is None:
        return None
    if torch is None:
        return Memory(total, [Part("in use", used, "▒", Role.MEMORY_OTHER)])
    allocated = min(torch.allocated_bytes, used)
    cache = min(max(0, torch.reserved_bytes - torch.allocated_bytes), used - allocated)
    parts = [
        Part("run", allocated, "█", Role.MEMORY_RUN),
        Part("cache", cache, "▓", Role.MEMORY_CACHE),
        Part("other", used - allocated - cache, "▒", Role.MEMORY_OTHER),
    ]
    return Memory(total, parts)
