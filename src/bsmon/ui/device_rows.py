"""Rows about devices beyond the memory bar: where a step's time goes, GPUs, torch's allocator, forecasts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from bsmon.core.records import GpuSample, HardwareSample, HostSample, TorchMemory
from bsmon.core.snapshot import Snapshot
from bsmon.core.text import clean
from bsmon.ui import numbers
from bsmon.ui.memory import Part
from bsmon.ui.panels.header import labelled
from bsmon.ui.roles import Role, Row
from bsmon.ui.rows import joined, shorten

LABEL = 8
_HOT_C = 85.0
_WAITS = 0.1  # of a step; from there on waiting for data is worth a warning
# In the order of a step. Glyphs tell the phases apart where there is no colour.
_PHASES = (
    ("data_wait", "data wait", "·", Role.WARNING),
    ("host_to_device", "to device", "▚", Role.MEMORY_OTHER),
    ("forward", "forward", "█", Role.MEMORY_RUN),
    ("backward", "backward", "▓", Role.MEMORY_CACHE),
    ("exchange", "ranks", "▙", Role.SMOOTHED),
    ("optimizer", "optimizer", "▒", Role.GRADIENT),
    ("telemetry", "bsmon", "▞", Role.VALIDATION),
)
_REASONS_SHOWN = 4
_UNIT = re.compile(r"(_bytes_s|_bytes|_percent|_mhz|_w|_c)$")  # at the end of a field's name


def label(text: str) -> Row:
    """The panel's left column."""
    return ((text.ljust(LABEL), Role.DIM),)


def stacked_bar(parts: Sequence[Part], total: float, width: int) -> Row:
    """Parts of a whole, in proportion; what is there gets at least one cell."""
    runs = []
    left = width
    for part in parts:
        cells = min(left, max(1, round(part.size / total * width))) if part.size > 0 else 0
        runs.append((part.glyph * cells, part.role))
        left -= cells
    return (*runs, ("░" * left, Role.RULE))


def time_rows(shares: Mapping[str, float], width: int, *, tall: bool) -> list[Row]:
    """Where a step's time goes, as one stacked bar with a legend: two rows, or one; nothing while not measured."""
    parts = [
        Part(name, round(shares[key] * 1_000_000), glyph, role)
        for key, name, glyph, role in _PHASES
        if shares.get(key, 0.0) > 0
    ]
    if not parts:
        return []
    legend: list[Row] = [
        ((f"{part.glyph} ", part.role), (f"{part.label} ", Role.DIM), _percent_of(part)) for part in parts
    ]
    room = width - LABEL
    total = max(1_000_000, sum(part.size for part in parts))
    if tall:
        rest = ((" " * LABEL, Role.INK), *joined(legend, room, "  "))
        return [(*label("step"), *stacked_bar(parts, total, room)), rest]
    by_size = [entry for _, entry in sorted(zip(parts, legend, strict=True), key=lambda pair: -pair[0].size)]
    cells = min(24, max(8, width // 6))
    return [
        (*label("step"), *stacked_bar(parts, total, cells), *joined([(("  ", Role.INK),), *by_size], room - cells, " "))
    ]


def _percent_of(part: Part) -> tuple[str, str]:
    share = part.size / 1_000_000
    waits = part.label == "data wait" and share >= _WAITS
    return numbers.share(share), Role.WARNING if waits else Role.INK


def gpu_facts(gpu: GpuSample) -> list[Row]:
    """Busy, temperature, power, clock."""
    limit = "" if gpu.power_limit_w is None else f" of {gpu.power_limit_w:.0f}"
    watts = None if gpu.power_w is None else f"{gpu.power_w:.0f}{limit} W"
    clock = numbers.UNKNOWN if gpu.sm_clock_mhz is None else f"{gpu.sm_clock_mhz} MHz"
    return [
        ((f"{numbers.percent(gpu.utilisation_percent):>5}", Role.STRONG), (" busy", Role.DIM)),
        degrees(gpu),
        labelled("power", numbers.UNKNOWN) if watts is None else ((watts, Role.INK),),
        labelled("clock", clock),
    ]


def degrees(gpu: GpuSample) -> Row:
    """The temperature."""
    if gpu.temperature_c is None:
        return labelled("temperature", numbers.UNKNOWN)
    return ((f"{gpu.temperature_c:.0f} °C", Role.WARNING if gpu.temperature_c >= _HOT_C else Role.INK),)


def gpu_more(gpu: GpuSample, width: int) -> Row:
    """Memory bandwidth, memory clock, PCIe."""
    clock = numbers.UNKNOWN if gpu.memory_clock_mhz is None else f"{gpu.memory_clock_mhz} MHz"
    rates = [None if rate is None else f"{numbers.size(rate)}/s" for rate in (gpu.pcie_rx_bytes_s, gpu.pcie_tx_bytes_s)]
    pcie = numbers.UNKNOWN if rates == [None, None] else f"in {rates[0] or 'n/a'}, out {rates[1] or 'n/a'}"
    parts = [
        labelled("memory bandwidth", numbers.percent(gpu.memory_utilisation_percent)),
        labelled("memory clock", clock),
        labelled("PCIe", pcie),
    ]
    return ((" " * LABEL, Role.INK), *joined(parts, width - LABEL, "  "))


def gpu_notes(gpu: GpuSample, width: int) -> list[Row]:
    """What a person must not overlook: no answer, old numbers, a throttled chip."""
    notes = []
    if "gpu" in gpu.reasons:
        notes.append(f"cannot be read: {clean(gpu.reasons['gpu'])}")
    if gpu.stale_s is not None:
        notes.append(f"no answer from the driver for {numbers.duration(gpu.stale_s)}; these numbers are old")
    if gpu.throttle_reasons:
        notes.append(f"slowed down: {clean(', '.join(gpu.throttle_reasons))}")
    return [((" " * LABEL, Role.INK), (shorten(note, width - LABEL), Role.WARNING)) for note in notes]


def reason_rows(gpu: GpuSample, width: int) -> list[Row]:
    """Why numbers are n/a: each reason once, with the fields that it is about, which are cut where room is short."""
    fields: dict[str, list[str]] = {}
    for name, reason in gpu.reasons.items():
        if name != "gpu":
            fields.setdefault(reason, []).append(_UNIT.sub("", name).replace("_", " "))
    texts = [f"n/a ({reason}): {', '.join(names)}" for reason, names in fields.items()]
    return [
        ((" " * LABEL, Role.INK), (shorten(clean(text), width - LABEL), Role.DIM)) for text in texts[:_REASONS_SHOWN]
    ]


def other_gpu_rows(hardware: HardwareSample, width: int) -> list[Row]:
    """Every GPU but the one that has rows of its own (rank 0's), one line each."""
    rows: list[Row] = []
    shown = next((gpu for gpu in hardware.gpus if gpu.is_mine), None)
    for gpu in hardware.gpus:
        if gpu is shown:
            continue
        # One that never answered has no other name than its number, which stands there already.
        name: Row = () if gpu.name == f"GPU {gpu.index}" else ((shorten(clean(gpu.name), 24), Role.DIM),)
        if gpu.is_mine:
            name = ((shorten(clean(gpu.name), 24), Role.INK), (" this run's", Role.DIM))
        if "gpu" in gpu.reasons:
            parts = [name, ((clean(gpu.reasons["gpu"]), Role.WARNING),)]
        else:
            parts = [name, *_other_facts(gpu)]
        rows.append((*label(f"GPU {gpu.index}"), *joined(parts, width - LABEL, "  ")))
    return rows


def _other_facts(gpu: GpuSample) -> list[Row]:
    of = f" of {numbers.size(gpu.memory_total_bytes)}" if gpu.memory_total_bytes else ""
    watts: Row = labelled("power", numbers.UNKNOWN) if gpu.power_w is None else ((f"{gpu.power_w:.0f} W", Role.INK),)
    facts: list[Row] = [
        ((f"{numbers.percent(gpu.utilisation_percent):>5}", Role.INK), (" busy", Role.DIM)),
        ((numbers.size_in(gpu.memory_used_bytes, gpu.memory_total_bytes) + of, Role.INK),),
        degrees(gpu),
        watts,
    ]
    if gpu.stale_s is not None:
        facts.insert(0, ((f"old by {numbers.duration(gpu.stale_s)}", Role.WARNING),))
    return facts


def torch_row(torch: TorchMemory, width: int) -> Row:
    """Torch's own allocator."""
    retries = Role.WARNING if torch.alloc_retries else Role.INK
    parts = [
        labelled("allocated", numbers.size(torch.allocated_bytes)),
        labelled("reserved", numbers.size(torch.reserved_bytes)),
        labelled("peak", numbers.size(torch.peak_bytes)),
        labelled("out of memory", numbers.count(torch.ooms), Role.WARNING if torch.ooms else Role.INK),
        labelled("retries", numbers.count(torch.alloc_retries), retries),
        labelled("fragments", numbers.size(torch.inactive_split_bytes)),
    ]
    return (*label("torch"), *joined(parts, width - LABEL, "  "))


def forecast_row(snapshot: Snapshot, width: int) -> list[Row]:
    """Predicted peaks of micro batches, largest first where room is short, and those that ran out of memory."""
    parts: list[Row] = []
    if snapshot.measured_peak_bytes is not None:
        parts.append(labelled("measured now", numbers.size(snapshot.measured_peak_bytes)))
    for forecast in sorted(snapshot.forecasts, key=lambda found: -found.micro_batch_size)[:6]:
        sign, role = {True: ("fits", Role.GOOD), False: ("does not fit", Role.BAD), None: ("", Role.DIM)}[forecast.fits]
        said = f"{numbers.count(forecast.micro_batch_size)} "
        parts.append(((said, Role.STRONG), (numbers.size(forecast.peak_bytes), Role.INK), (f" {sign}", role)))
    if snapshot.fences:
        parts.append(labelled("ran out at", ", ".join(map(numbers.count, snapshot.fences)), Role.BAD))
    return [(*label("needs"), *joined(parts, width - LABEL, "  "))] if parts else []


def traffic_rows(host: HostSample, width: int) -> list[Row]:
    """What this run reads and writes, the disk that its data lie on where that is known, and the whole machine."""
    swaps = bool(host.swap_used_bytes)
    run = [
        labelled("run reads", _rate(host.run_read_bytes_s)),
        labelled("from storage", _rate(host.run_storage_read_bytes_s)),
        labelled("writes", _rate(host.run_storage_write_bytes_s)),
    ]
    machine = [
        labelled("all disks read", _rate(host.disk_read_bytes_s)),
        labelled("written", _rate(host.disk_write_bytes_s)),
        labelled("network", _rate(host.network_bytes_s)),
        labelled("swap", numbers.size(host.swap_used_bytes), Role.WARNING if swaps else Role.INK),
    ]
    return [
        (*label("files"), *joined(run, width - LABEL, "  ")),
        *_data_disk(host, width),
        (*label("machine"), *joined(machine, width - LABEL, "  ")),
    ]


def _data_disk(host: HostSample, width: int) -> list[Row]:
    """Where the data lie, with the disk's rates where there is one."""
    if not host.data_storage:
        return []
    parts = [labelled("on", shorten(clean(host.data_storage), width - LABEL - len("on ")))]
    if host.data_disk_read_bytes_s is not None:
        parts.append(labelled("its disk reads", _rate(host.data_disk_read_bytes_s)))
        parts.append(labelled("writes", _rate(host.data_disk_write_bytes_s)))
    return [(*label("data"), *joined(parts, width - LABEL, "  "))]


def _rate(value: float | None) -> str:
    return numbers.UNKNOWN if value is None else f"{numbers.size(value)}/s"
