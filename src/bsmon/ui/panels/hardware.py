"""Memory and device: how full, how busy, how fast. Without a GPU it says so and shows the host."""

from __future__ import annotations

from bsmon.core.records import GpuSample, HardwareSample
from bsmon.core.snapshot import Snapshot
from bsmon.core.text import clean
from bsmon.ui import numbers
from bsmon.ui.charts import trace
from bsmon.ui.device_rows import (
    LABEL,
    degrees,
    forecast_row,
    gpu_facts,
    gpu_more,
    gpu_notes,
    label,
    other_gpu_rows,
    reason_rows,
    stacked_bar,
    time_rows,
    torch_row,
    traffic_rows,
)
from bsmon.ui.memory import Memory, gpu_memory, host_memory, predicted_use
from bsmon.ui.panels.header import labelled
from bsmon.ui.panels.panel import Panel
from bsmon.ui.roles import BLANK, Role, Row
from bsmon.ui.rows import fit, heading, joined, shorten
from bsmon.ui.view import View

_TALL = 14  # rows from which everything is shown, in groups


class Hardware(Panel):
    """The memory bar comes first: it stays at every size."""

    def rows(self, view: View, width: int, height: int) -> list[Row]:
        """Heading, memory bar and its legend, then a row for each of device, speed, host."""
        snapshot, hardware = view.snapshot, view.snapshot.hardware
        if hardware is None:
            waiting = (("not measured yet", Role.DIM),)
            return [heading(3, "Memory and device", [], width), waiting]
        gpu = own_gpu(hardware)
        facts = [_whose(hardware, gpu, width - 24), *(_folded_facts(gpu) if gpu is not None and height <= 3 else [])]
        title = heading(3, "Memory and device", facts, width)
        top = [title, *_memory(hardware, gpu, snapshot, width)]
        more = _tall(view, hardware, gpu, width) if height >= _TALL else _short(view, hardware, gpu, width)
        return [*top, *more][:height]


def own_gpu(hardware: HardwareSample) -> GpuSample | None:
    """The GPU that this run trains on; None where it trains on none."""
    return next((gpu for gpu in hardware.gpus if gpu.is_mine), None)


def _short(view: View, hardware: HardwareSample, gpu: GpuSample | None, width: int) -> list[Row]:
    """The most telling first."""
    snapshot = view.snapshot
    rows: list[Row] = [] if gpu is None else [_gpu_row(gpu, snapshot, width), *gpu_notes(gpu, width)]
    rows += [_speed_row(snapshot, width), *time_rows(snapshot.progress.time_shares, width, tall=False)]
    rows.append(_host_row(hardware, snapshot, width))
    if gpu is not None:
        rows += [_host_memory_row(hardware, snapshot, width), *other_gpu_rows(hardware, width)]
    return [*rows, _cost_row(view, hardware, width)]


def _tall(view: View, hardware: HardwareSample, gpu: GpuSample | None, width: int) -> list[Row]:
    """All there is, in groups."""
    snapshot = view.snapshot
    rows = [*forecast_row(snapshot, width), BLANK, _speed_row(snapshot, width)]
    rows += time_rows(snapshot.progress.time_shares, width, tall=True)
    if gpu is not None:
        rows += [BLANK, _gpu_row(gpu, snapshot, width), *gpu_notes(gpu, width), gpu_more(gpu, width)]
        rows += reason_rows(gpu, width)
    if hardware.torch is not None:
        rows.append(torch_row(hardware.torch, width))
    rows += other_gpu_rows(hardware, width)
    rows += [BLANK, _host_row(hardware, snapshot, width), _host_memory_row(hardware, snapshot, width)]
    return [*rows, *traffic_rows(hardware.host, width), _cost_row(view, hardware, width)]


def _memory(hardware: HardwareSample, gpu: GpuSample | None, snapshot: Snapshot, width: int) -> list[Row]:
    measured = host_memory(hardware.host) if gpu is None else gpu_memory(gpu, hardware.torch)
    if measured is None:
        why = "" if gpu is None else gpu.reasons.get("memory_total_bytes", gpu.reasons.get("gpu", ""))
        return [(*label("memory"), (shorten(f"n/a {clean(why)}", width - LABEL), Role.DIM))]
    total = measured.total
    used = f" {numbers.percent(measured.used / total * 100):>5}"
    cells = max(1, width - LABEL - len(used))
    next_size = predicted_use(measured, snapshot, on_gpu=gpu is not None)
    bar = stacked_bar(measured.parts, total, cells)
    if next_size is not None:
        bar = with_mark(bar, round(next_size[1] / total * cells), cells)
    legend = [*_legend(measured), *_forecasts(snapshot, marked=next_size is not None)]
    return [
        (*label("memory"), *bar, (used, _fullness(measured.used / total))),
        ((" " * LABEL, Role.INK), *joined(legend, width - LABEL, "  ")),
    ]


def with_mark(bar: Row, at: int, cells: int) -> Row:
    """The bar with an upright line at the forecast peak, where that lies in its free part or at its end."""
    *parts, (free, role) = bar
    at = min(at, cells - 1) - (cells - len(free))
    if at < 0 or not free:
        return bar
    return (*parts, (free[:at], role), ("┃", Role.MARK), (free[at + 1 :], role))


def _legend(memory: Memory) -> list[Row]:
    entries: list[Row] = [
        (
            (f"{part.glyph} ", part.role),
            (f"{part.label} ", Role.DIM),
            (numbers.size_in(part.size, memory.total), Role.INK),
        )
        for part in memory.parts
    ]
    free: Row = (("░ ", Role.RULE), ("free ", Role.DIM), (f"{numbers.size_in(memory.free, memory.total)} ", Role.INK))
    return [*entries, (*free, ("of ", Role.DIM), (numbers.size(memory.total), Role.INK))]


def _fullness(share: float) -> Role:
    return Role.BAD if share >= 0.97 else Role.WARNING if share >= 0.9 else Role.STRONG


def _forecasts(snapshot: Snapshot, *, marked: bool) -> list[Row]:
    """What the mark on the bar is, and the largest micro batch that is predicted to fit."""
    entries: list[Row] = []
    if marked and snapshot.batch is not None:
        larger = (
            f.micro_batch_size for f in snapshot.forecasts if f.micro_batch_size > snapshot.batch.micro_batch_size
        )
        entries.append((("┃ ", Role.MARK), ("at ", Role.DIM), (numbers.count(min(larger)), Role.INK)))
    fitting = [forecast.micro_batch_size for forecast in snapshot.forecasts if forecast.fits]
    if fitting:
        # Forecasts go only so far above the present size: without one that does not fit, the limit is not known.
        is_limit = any(forecast.fits is False for forecast in snapshot.forecasts)
        entries.append(labelled("fits up to" if is_limit else "fits at least", numbers.count(max(fitting))))
    return entries


def _whose(hardware: HardwareSample, gpu: GpuSample | None, width: int) -> Row:
    if gpu is not None:
        others = f"  +{len(hardware.gpus) - 1} more" if len(hardware.gpus) > 1 else ""
        return ((shorten(f"GPU {gpu.index} {clean(gpu.name)}{others}", width), Role.INK),)
    status = clean(hardware.gpu_status) or "no GPU in use"
    return ((shorten(status, width), Role.DIM),)


def _folded_facts(gpu: GpuSample) -> list[Row]:
    """What the GPU's own row would say, where there is no room for it."""
    facts: list[Row] = [labelled("busy", numbers.percent(gpu.utilisation_percent), Role.STRONG)]
    return facts if gpu.temperature_c is None else [*facts, degrees(gpu)]


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
    history = _history(snapshot, "gpu_utilisation_percent", _cells(width), 100.0)
    return (*label("GPU"), *joined([history, *gpu_facts(gpu)], width - LABEL, "  "))


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
    return (*label("CPU"), *joined(parts, width - LABEL, "  "))


def _speed_row(snapshot: Snapshot, width: int) -> Row:
    progress = snapshot.progress
    waits = progress.data_wait_share is not None and progress.data_wait_share >= 0.1
    parts: list[Row] = [
        _history(snapshot, "samples_per_second", _cells(width)),
        ((numbers.compact(progress.samples_per_second), Role.STRONG), (" samples/s", Role.DIM)),
        labelled("step", numbers.interval(progress.step_s)),
        labelled("data wait", numbers.share(progress.data_wait_share), Role.WARNING if waits else Role.INK),
    ]
    return (*label("speed"), *joined(parts, width - LABEL, "  "))


def _host_memory_row(hardware: HardwareSample, snapshot: Snapshot, width: int) -> Row:
    host = hardware.host
    parts: list[Row] = [
        _history(snapshot, "rss_bytes", _cells(width)),
        labelled("run", numbers.size(host.rss_bytes)),
        labelled(
            "available", f"{numbers.size(host.memory_available_bytes)} of {numbers.size(host.memory_total_bytes)}"
        ),
    ]
    return (*label("host"), *joined(parts, width - LABEL, "  "))


def _cost_row(view: View, hardware: HardwareSample, width: int) -> Row:
    drawing = numbers.share(view.drawing_share)
    parts = [
        labelled("this screen", drawing),
        labelled("sampling", numbers.percent(hardware.sampler_cpu_percent)),
        (("of one core", Role.DIM),),
    ]
    return (*label("costs"), *joined(parts, width - LABEL, "  "))
