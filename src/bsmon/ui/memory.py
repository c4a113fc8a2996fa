"""Who holds a memory: the parts of the bar, for a GPU through NVML and torch, for the host through psutil."""

from __future__ import annotations

from dataclasses import dataclass

from bsmon.core.memory_split import memory_split
from bsmon.core.records import GpuSample, HostSample, TorchMemory
from bsmon.core.snapshot import MemoryForecast, Snapshot
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
    """This run's tensors, torch's cache, the CUDA context where NVML tells it apart, others, driver and firmware."""
    total, used = gpu.memory_total_bytes, gpu.memory_used_bytes
    split = memory_split(gpu, torch)
    if split is None:
        return Memory(total, [Part("in use", used, "▒", Role.MEMORY_OTHER)]) if total and used is not None else None
    parts = [
        Part("run", split.tensors, "█", Role.MEMORY_RUN),
        Part("cache", split.cached, "▓", Role.MEMORY_CACHE),
        *([] if split.context is None else [Part("CUDA", split.context, "▚", Role.MEMORY_CACHE)]),
        Part("other" if split.context is not None else "CUDA, other", split.others, "▒", Role.MEMORY_OTHER),
        *([Part("driver", split.system, "▞", Role.DIM)] if split.system else []),
    ]
    return Memory(split.total, parts)


@dataclass(frozen=True, slots=True)
class PeakMark:
    """Where on the bar the memory in use would end at the peak of a micro batch. `use`: bytes, all holders together."""

    micro_batch_size: int
    use: int
    ran_out: bool = False  # this size was tried and did not fit


def peak_marks(memory: Memory, snapshot: Snapshot, *, on_gpu: bool) -> list[PeakMark]:
    """The next larger micro batch that was forecast, and the smallest one that ran out of memory, as far as known.

    On a GPU the run's tensors and cache give way to the forecast peak; on the host, the measured peak of the present
    size, since the process holds much more than tensors.
    """
    if on_gpu:
        own = sum(part.size for part in memory.parts if part.label in ("run", "cache"))
    elif snapshot.measured_peak_bytes is not None:
        own = snapshot.measured_peak_bytes
    else:
        return []
    rest = max(0, memory.used - own)
    failed = [found for found in snapshot.forecasts if found.micro_batch_size == min(snapshot.fences, default=None)]
    marks = [PeakMark(found.micro_batch_size, rest + found.peak_bytes, ran_out=True) for found in failed]
    larger = _next_larger(snapshot)
    if larger is not None and larger not in failed:
        marks.insert(0, PeakMark(larger.micro_batch_size, rest + larger.peak_bytes))
    return marks


def _next_larger(snapshot: Snapshot) -> MemoryForecast | None:
    batch = snapshot.batch
    larger = [found for found in snapshot.forecasts if batch and found.micro_batch_size > batch.micro_batch_size]
    return min(larger, key=lambda found: found.micro_batch_size, default=None)
