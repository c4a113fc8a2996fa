"""One GPU (or MIG slice) read through NVML. Runs in the GPU reader's process, where a hang hurts nobody."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pynvml

from bsmon.core.records import GpuProcess, GpuSample
from bsmon.telemetry.nvml_errors import Cells, Implausible, first_that_answers, percent, text_from

_MOST_PROCESSES = 16
_HOTTEST_C = 200
_KILOBYTE = 1000  # NVML documents its PCIe counters as "KB/s"

_MEMORY_FIELDS = ("memory_total_bytes", "memory_used_bytes", "memory_free_bytes", "memory_reserved_bytes")
_UTILISATION_FIELDS = ("utilisation_percent", "memory_utilisation_percent")
_WHOLE_FIELDS = (
    *("temperature_c", "power_w", "power_limit_w", "sm_clock_mhz", "memory_clock_mhz", "throttle_reasons"),
    *("pcie_rx_bytes_s", "pcie_tx_bytes_s"),
)
"""What a slice shares with the other slices of its GPU."""
_PCIE_FIELDS = ("pcie_rx_bytes_s", "pcie_tx_bytes_s")

_THROTTLE_REASONS = (
    (pynvml.nvmlClocksThrottleReasonSwPowerCap, "power cap"),
    (pynvml.nvmlClocksThrottleReasonHwSlowdown, "hardware slowdown"),
    (pynvml.nvmlClocksThrottleReasonSyncBoost, "sync boost"),
    (pynvml.nvmlClocksThrottleReasonSwThermalSlowdown, "heat (driver)"),
    (pynvml.nvmlClocksThrottleReasonHwThermalSlowdown, "heat (hardware)"),
    (pynvml.nvmlClocksThrottleReasonHwPowerBrakeSlowdown, "power brake"),
    (pynvml.nvmlClocksThrottleReasonApplicationsClocksSetting, "application clocks"),
    (pynvml.nvmlClocksThrottleReasonDisplayClockSetting, "display clocks"),
)
"""What holds the clocks back. An idle GPU's low clocks are no throttling and are left out."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Which GPU a handle stands for; read once, for it does not change while NVML stays initialised."""

    index: int
    uuid: str
    name: str


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes. `reserved` is None in the first struct version, which counts it as used."""

    total: int
    used: int
    free: int
    reserved: int | None


def read_gpu(handle: Any, identity: Identity, cells: Cells, *, own: bool, sliced: bool) -> GpuSample:
    """Everything NVML says about one GPU.

    `own`: the run's GPU, whose PCIe rates are worth their 20 ms each. `sliced`: cut into MIG slices, where NVML has no
    utilisation and a 0 would be a lie.
    """
    sample = _with_memory(handle, _blank(identity), cells)
    if sliced:
        sample = _without(cells, sample, _UTILISATION_FIELDS, "not available with MIG")
    else:
        sample = _with_utilisation(handle, sample, cells)
    read = cells.read
    clock = partial(pynvml.nvmlDeviceGetClockInfo, handle)
    sample = replace(
        sample,
        temperature_c=read("temperature_c", partial(_temperature, handle)),
        power_w=read("power_w", lambda: _watts(pynvml.nvmlDeviceGetPowerUsage(handle))),
        power_limit_w=read("power_limit_w", lambda: _watts(pynvml.nvmlDeviceGetEnforcedPowerLimit(handle))),
        sm_clock_mhz=read("sm_clock_mhz", lambda: int(clock(pynvml.NVML_CLOCK_SM))),
        memory_clock_mhz=read("memory_clock_mhz", lambda: int(clock(pynvml.NVML_CLOCK_MEM))),
        throttle_reasons=read("throttle_reasons", partial(_throttle_reasons, handle)),
    )
    if own:
        sample = _with_pcie(handle, sample, cells)
    else:
        sample = _without(cells, sample, _PCIE_FIELDS, "read for the GPU of this run only")
    return _with_processes(handle, sample, cells)


def read_mig_slice(handle: Any, identity: Identity, cells: Cells) -> GpuSample:
    """A MIG slice: memory and processes. NVML has no utilisation for slices, so that stays unknown, never 0."""
    sample = _with_processes(handle, _with_memory(handle, _blank(identity), cells), cells)
    sample = _without(cells, sample, _UTILISATION_FIELDS, "not available with MIG")
    return _without(cells, sample, _WHOLE_FIELDS, "told for the whole GPU only")


def _blank(identity: Identity) -> GpuSample:
    return GpuSample(index=identity.index, uuid=identity.uuid, name=identity.name)


def _without(cells: Cells, sample: GpuSample, fields: tuple[str, ...], reason: str) -> GpuSample:
    cells.reasons.update(dict.fromkeys(fields, reason))
    return sample


def _spread(cells: Cells, fields: tuple[str, ...]) -> None:
    """One call fills several fields: give each the reason that was noted under the first."""
    cells.reasons.update(dict.fromkeys(fields, cells.reasons[fields[0]]))


def _with_memory(handle: Any, sample: GpuSample, cells: Cells) -> GpuSample:
    memory = cells.read(_MEMORY_FIELDS[0], partial(_memory, handle))
    if memory is None:
        _spread(cells, _MEMORY_FIELDS)
        return sample
    if memory.reserved is None:
        cells.reasons["memory_reserved_bytes"] = "this driver counts it as used"
    return replace(
        sample,
        memory_total_bytes=memory.total,
        memory_used_bytes=memory.used,
        memory_free_bytes=memory.free,
        memory_reserved_bytes=memory.reserved,
    )


def _memory(handle: Any) -> Memory:
    info = first_that_answers(
        lambda: pynvml.nvmlDeviceGetMemoryInfo(handle, version=pynvml.nvmlMemory_v2),
        lambda: pynvml.nvmlDeviceGetMemoryInfo(handle),
    )
    reserved = getattr(info, "reserved", None)
    memory = Memory(int(info.total), int(info.used), int(info.free), None if reserved is None else int(reserved))
    if memory.total == 0:
        raise Implausible("this GPU shares the machine's memory")
    if max(memory.used, memory.free, memory.reserved or 0) > memory.total:
        raise Implausible("the driver reported more memory than the GPU has")
    return memory


def _with_utilisation(handle: Any, sample: GpuSample, cells: Cells) -> GpuSample:
    rates = cells.read("utilisation_percent", lambda: pynvml.nvmlDeviceGetUtilizationRates(handle))
    if rates is None:
        _spread(cells, _UTILISATION_FIELDS)
        return sample
    return replace(
        sample,
        utilisation_percent=cells.read("utilisation_percent", lambda: percent(rates.gpu)),
        memory_utilisation_percent=cells.read("memory_utilisation_percent", lambda: percent(rates.memory)),
    )


def _temperature(handle: Any) -> float:
    celsius = first_that_answers(
        lambda: pynvml.nvmlDeviceGetTemperatureV(handle, pynvml.NVML_TEMPERATURE_GPU),
        lambda: pynvml.nvmlDeviceGetTemperature(handle, pynvml.NVML_TEMPERATURE_GPU),
    )
    if not -_HOTTEST_C < celsius < _HOTTEST_C:
        raise Implausible(f"the driver reported {celsius} degrees")
    return float(celsius)


def _watts(milliwatts: int) -> float:
    return milliwatts / 1000


def _throttle_reasons(handle: Any) -> tuple[str, ...]:
    mask = first_that_answers(
        lambda: pynvml.nvmlDeviceGetCurrentClocksEventReasons(handle),
        lambda: pynvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle),
    )
    return tuple(name for bit, name in _THROTTLE_REASONS if mask & bit)


def _with_pcie(handle: Any, sample: GpuSample, cells: Cells) -> GpuSample:
    def rate(counter: int) -> int:
        return int(pynvml.nvmlDeviceGetPcieThroughput(handle, counter)) * _KILOBYTE

    return replace(
        sample,
        pcie_rx_bytes_s=cells.read("pcie_rx_bytes_s", lambda: rate(pynvml.NVML_PCIE_UTIL_RX_BYTES)),
        pcie_tx_bytes_s=cells.read("pcie_tx_bytes_s", lambda: rate(pynvml.NVML_PCIE_UTIL_TX_BYTES)),
    )


def _with_processes(handle: Any, sample: GpuSample, cells: Cells) -> GpuSample:
    return replace(sample, processes=cells.read("processes", partial(_processes, handle)))


def _processes(handle: Any) -> tuple[GpuProcess, ...]:
    """The processes that compute on the GPU, largest first; in a container often none is visible."""
    found = first_that_answers(
        lambda: pynvml.nvmlDeviceGetComputeRunningProcesses_v3(handle),
        lambda: pynvml.nvmlDeviceGetComputeRunningProcesses_v2(handle),
    )
    found.sort(key=lambda process: process.usedGpuMemory or 0, reverse=True)
    return tuple(
        GpuProcess(
            pid=process.pid,
            name=_process_name(process.pid),
            memory_bytes=None if process.usedGpuMemory is None else int(process.usedGpuMemory),
        )
        for process in found[:_MOST_PROCESSES]
    )


def _process_name(pid: int) -> str:
    """The driver's name for it: its process ids are the host's, so a container's own table would name the wrong one."""
    return Cells().read("name", lambda: text_from(lambda: pynvml.nvmlSystemGetProcessName(pid))) or ""
