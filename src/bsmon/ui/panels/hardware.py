"""Memory and device: how full, how busy, how fast. Without a GPU it says so and shows the host."""

from __future__ import annotations

from bsmon.core.records import GpuSample, HardwareSample
from bsmon.core.snapshot import Snapshot
from bsmon.core.text import clean
from bsmon.ui import numbers
from bsmon.ui.charts import trace
from bsmon.ui.memory import Part, gpu_memory, host_memory
from bsmon.ui.panels.header import labelled
from bsmon.ui.panels.panel import Panel
from bsmon.ui.roles import Role, Row
from bsmon.ui.rows import fit, heading, joined, shorten
from bsmon.ui.view import View

_LABEL = 8
_HOT_C = 85.0


class Hardware(Panel):
    """The memory bar comes first: it stays at every size."""

    def rows(self, view: View, width: int, height: int) -> list[Row]:
        """Heading, memory bar and its legend, then a row for each of device, host, speed."""
        snapshot, hardware = view.snapshot, view.snapshot.hardware
        if hardware is None:
            waiting = (("not measured yet", Role.DIM),)
            return [heading(3, "Memory and device", [], width), waiting]
        gpu = own_gpu(hardware)
        facts = [_whose(hardware, gpu, width - 24), *(_folded_facts(gpu) if gpu is not None and height <= 3 else [])]
        title = heading(3, "Memory and device", facts, width)
        rows = [title, *_memory(hardware, gpu, snapshot, width)]
        if gpu is not None:
            rows += [_gpu_row(gpu, snapshot, width), *_gpu_notes(gpu, width)]
        rows += [_host_row(hardware, snapshot, width), _speed_row(snapshot, width)]
        if gpu is not None:
            rows.append(_host_memory_row(hardware, snapshot, width))
        rows += [_cost_row(view, hardware, width)]
        return rows[:height]


def own_gpu(hardware: HardwareSample) -> GpuSample | None:
    """The GPU that this run trains on; None where it trains on none."""
    return next((gpu for gpu in hardware.gpus if gpu.is_mine), None)


def memory_bar(parts: list[Part], total: float, width: int) -> Row:
    """Parts of a whole, in proportion; what is there gets at least one cell."""
    runs = []
    left = width
    for part in parts:
        cells = min(left, max(1, round(part.size / total * width))) if part.size > 0 else 0
        runs.append((part.glyph * cells, part.role))
        left -= cells
    return (*runs, ("░" * left, Role.RULE))


def _memory(hardware: HardwareSample, gpu: GpuSample | None, snapshot: Snapshot, width: int) -> list[Row]:
    measured = host_memory(hardware.host) if gpu is None else gpu_memory(gpu, hardware.torch)
    if measured is None:
        why = "" if gpu is None else gpu.reasons.get("memory_total_bytes", "")
        return [(*_label("memory"), (shorten(f"n/a {clean(why)}", width - _LABEL), Role.DIM))]
    total = measured.total
    used = f" {numbers.percent(measured.used / total * 100):>5}"
    bar = memory_bar(measured.parts, total, max(1, width - _LABEL - len(used)))
    legend = [
        ((f"{part.glyph} ", part.role), (f"{part.label} ", Role.DIM), (numbers.size_in(part.size, total), Role.INK))
        for part in measured.parts
    ]
    free = (("░ ", Role.RULE), ("free ", Role.DIM), (f"{numbers.size_in(measured.free, total)} ", Role.INK))
    of: Row = (("of ", Role.DIM), (numbers.size(total), Role.INK))
    rows = [(*_label("memory"), *bar, (used, _fullness(measured.used / total)))]
    return [
        *rows,
        ((" " * _LABEL, Role.INK), *joined([*legend, (*free, *of), *_forecast(snapshot)], width - _LABEL, "  ")),
    ]


def _fullness(share: float) -> Role:
    return Role.BAD if share >= 0.97 else Role.WARNING if share >= 0.9 else Role.STRONG


def _forecast(snapshot: Snapshot) -> list[Row]:
    """The largest micro batch that is predicted to fit."""
    fitting = [forecast for forecast in snapshot.forecasts if forecast.fits]
    if not fitting:
        return []
    best = max(fitting, key=lambda forecast: forecast.micro_batch_size)
    return [labelled("fits up to micro batch", numbers.count(best.micro_batch_size))]


def _label(text: str) -> Row:
    return ((text.ljust(_LABEL), Role.DIM),)


def _whose(hardware: HardwareSample, gpu: GpuSample | None, width: int) -> Row:
    if gpu is not None:
        others = f"  +{len(hardware.gpus) - 1} more" if len(hardware.gpus) > 1 else ""
        return ((shorten(f"GPU {gpu.index} {clean(gpu.name)}{others}", width), Role.INK),)
    status = clean(hardware.gpu_status) or "no GPU in use"
    return ((shorten(status, width), Role.DIM),)


def _folded_facts(gpu: GpuSample) -> list[Row]:
    """What the GPU's own row would say, where there is no room for it."""
    facts: list[Row] = [labelled("busy", numbers.percent(gpu.utilisation_percent), Role.STRONG)]
    return facts if gpu.temperature_c is None else [*facts, _degrees(gpu)]


def _degrees(gpu: GpuSample) -> Row:
    if gpu.temperature_c is None:
        return labelled("", numbers.UNKNOWN)[1:]
    return ((f"{gpu.temperature_c:.0f} °C", Role.WARNING if gpu.temperature_c >= _HOT_C else Role.INK),)


def _history(snapshot: Snapshot, name: str, cells: int, high: float | None = None) -> Row:
    series = snapshot.series.get(name)
    values = [value for value in series.mean if value is not None] if series is not None else []
    if series is None or not values:
        return ((" " * cells, Role.INK),)
    top = max(values) * 1.1 if high is None else high
    return fit(trace(series, Role.GRADIENT, cells, 0.0, top), cells)


def _cells(width: int) -> int:
    return min(24, max(8, width // 6))


def _gpu_row(gpu: GpuSample, snapshot: Snapshot, width: int) -> Row:
    power = numbers.UNKNOWN if gpu.power_w is None else f"{gpu.power_w:.0f}"
    limit = "" if gpu.power_limit_w is None else f" of {gpu.power_limit_w:.0f}"
    clock = numbers.UNKNOWN if gpu.sm_clock_mhz is None else f"{gpu.sm_clock_mhz} MHz"
    parts: list[Row] = [
        _history(snapshot, "gpu_utilisation_percent", _cells(width), 100.0),
        ((f"{numbers.percent(gpu.utilisation_percent):>5}", Role.STRONG), (" busy", Role.DIM)),
        _degrees(gpu),
        ((f"{power}{limit} W", Role.INK),),
        labelled("clock", clock),
    ]
    return (*_label("GPU"), *joined(parts, width - _LABEL, "  "))


def _gpu_notes(gpu: GpuSample, width: int) -> list[Row]:
    """What a person must not overlook: old numbers, a throttled chip."""
    notes = []
    if gpu.stale_s is not None:
        notes.append(f"no answer from the driver for {numbers.duration(gpu.stale_s)}; these numbers are old")
    if gpu.throttle_reasons:
        notes.append(f"slowed down: {clean(', '.join(gpu.throttle_reasons))}")
    return [((" " * _LABEL, Role.INK), (shorten(note, width - _LABEL), Role.WARNING)) for note in notes]


def _host_row(hardware: HardwareSample, snapshot: Snapshot, width: int) -> Row:
    host = hardware.host
    cores = "" if host.cores is None else f" of {host.cores} cores"
    load = numbers.UNKNOWN if host.load_1m is None else f"{host.load_1m:.2f}"
    busy = host.cores is not None and host.load_1m is not None and host.load_1m > 1.2 * host.cores
    run_cores = None if host.cpu_percent is None else host.cpu_percent / 100
    workers = [] if not host.workers_cpu_percent else [labelled("workers", numbers.percent(host.workers_cpu_percent))]
    parts: list[Row] = [
        _history(snapshot, "cpu_percent", _cells(width)),
        labelled("run", (numbers.UNKNOWN if run_cores is None else f"{run_cores:.1f}") + cores),
        labelled("machine", numbers.percent(host.machine_cpu_percent)),
        labelled("load", load, Role.WARNING if busy else Role.INK),
        *workers,
    ]
    return (*_label("CPU"), *joined(parts, width - _LABEL, "  "))


def _speed_row(snapshot: Snapshot, width: int) -> Row:
    progress = snapshot.progress
    waits = progress.data_wait_share is not None and progress.data_wait_share >= 0.1
    parts: list[Row] = [
        _history(snapshot, "samples_per_second", _cells(width)),
        ((numbers.compact(progress.samples_per_second), Role.STRONG), (" samples/s", Role.DIM)),
        labelled("step", numbers.interval(progress.step_s)),
        labelled("data wait", numbers.share(progress.data_wait_share), Role.WARNING if waits else Role.INK),
    ]
    return (*_label("speed"), *joined(parts, width - _LABEL, "  "))


def _host_memory_row(hardware: HardwareSample, snapshot: Snapshot, width: int) -> Row:
    host = hardware.host
    parts: list[Row] = [
        _history(snapshot, "rss_bytes", _cells(width)),
        labelled("run", numbers.size(host.rss_bytes)),
        labelled(
            "available", f"{numbers.size(host.memory_available_bytes)} of {numbers.size(host.memory_total_bytes)}"
        ),
    ]
    return (*_label("host"), *joined(parts, width - _LABEL, "  "))


def _cost_row(view: View, hardware: HardwareSample, width: int) -> Row:
    drawing = numbers.share(view.drawing_share)
    parts = [
        labelled("this screen", drawing),
        labelled("sampling", numbers.percent(hardware.sampler_cpu_percent)),
        (("of one core", Role.DIM),),
    ]
    return (*_label("costs"), *joined(parts, width - _LABEL, "  "))
