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
from bsmon.ui.memory import Memory, Part, PeakMark, gpu_memory, host_memory, peak_marks
from bsmon.ui.panels.header import labelled
from bsmon.ui.panels.panel import Panel
from bsmon.ui.roles import BLANK, Role, Row
from bsmon.ui.rows import fit, heading, joined, row_width, shorten
from bsmon.ui.view import View

_GAP = "  "
_RANKS = {"run": 0, "other": 2, "cache": 3, "CUDA": 5, "driver": 6}
"""Who of a memory's holders is named where not all can be: the run, what is free (1), the others, ..."""
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
        return _unknown_memory(hardware, gpu, width)
    used = f" {numbers.percent(measured.used / measured.total * 100):>5}"
    cells = max(1, width - LABEL - len(used))
    marks = peak_marks(measured, snapshot, on_gpu=gpu is not None)
    bar, drawn = with_marks(stacked_bar(measured.parts, measured.total, cells), marks, measured.total, cells)
    legend = _legend(measured, drawn, snapshot)
    return [
        (*label("memory"), *bar, (used, _fullness(measured.used / measured.total))),
        ((" " * LABEL, Role.INK), *_most_telling(legend, width - LABEL)),
    ]


def _unknown_memory(hardware: HardwareSample, gpu: GpuSample | None, width: int) -> list[Row]:
    """The reason; and what torch and the machine tell, for a GPU that shares the machine's memory tells nothing."""
    why = "" if gpu is None else gpu.reasons.get("memory_total_bytes", gpu.reasons.get("gpu", ""))
    rows: list[Row] = [(*label("memory"), (shorten(f"n/a {clean(why)}", width - LABEL), Role.DIM))]
    torch, host = hardware.torch, hardware.host
    if torch is None:
        return rows
    parts = [
        labelled("run", numbers.size(torch.allocated_bytes)),
        labelled("cache", numbers.size(max(torch.reserved_bytes - torch.allocated_bytes, 0))),
        labelled(
            "machine", f"{numbers.size(host.memory_available_bytes)} of {numbers.size(host.memory_total_bytes)} free"
        ),
    ]
    return [*rows, ((" " * LABEL, Role.INK), *joined(parts, width - LABEL, _GAP))]


def with_marks(bar: Row, marks: list[PeakMark], total: int, cells: int) -> tuple[Row, list[PeakMark]]:
    """The bar with an upright line at each peak that lies in its free part or beyond its end, and those marks."""
    *parts, (free, role) = bar
    drawn: dict[int, PeakMark] = {}
    for mark in marks:
        at = min(round(mark.use / total * cells), cells - 1) - (cells - len(free))
        if at >= 0:
            drawn.setdefault(at, mark)
    begin = 0
    for at in sorted(drawn):
        parts += [(free[begin:at], role), _glyph(drawn[at])]
        begin = at + 1
    return (*parts, (free[begin:], role)), list(drawn.values())


def _glyph(mark: PeakMark) -> tuple[str, str]:
    return ("╳", Role.BAD) if mark.ran_out else ("┃", Role.MARK)


def _mark_legend(mark: PeakMark) -> Row:
    glyph, role = _glyph(mark)
    words = "ran out at " if mark.ran_out else "at "
    return ((f"{glyph} ", role), (words, Role.DIM), (numbers.count(mark.micro_batch_size), Role.INK))


def _legend(memory: Memory, marks: list[PeakMark], snapshot: Snapshot) -> list[tuple[int, Row]]:
    """What the bar shows, in its order, each with a rank: where room is short the lowest stay."""
    entries = [(_RANKS.get(part.label, 2), _holder(part, memory.total)) for part in memory.parts]
    free: Row = (("░ ", Role.RULE), ("free ", Role.DIM), (f"{numbers.size_in(memory.free, memory.total)} ", Role.INK))
    entries.append((1, (*free, ("of ", Role.DIM), (numbers.size(memory.total), Role.INK))))
    entries += [(4, _mark_legend(mark)) for mark in marks]
    return entries + [(7, row) for row in _fits_up_to(snapshot)]


def _holder(part: Part, total: int) -> Row:
    size = numbers.size_in(part.size, total)
    return ((f"{part.glyph} ", part.role), (f"{part.label} ", Role.DIM), (size, Role.INK))


def _most_telling(legend: list[tuple[int, Row]], width: int) -> Row:
    """As much of the legend as fits, lowest ranks first, in the bar's order."""
    kept: set[int] = set()
    room = width
    for index in sorted(range(len(legend)), key=lambda at: legend[at][0]):
        needed = row_width(legend[index][1]) + (len(_GAP) if kept else 0)
        if needed <= room:
            kept.add(index)
            room -= needed
    return joined([row for index, (_, row) in enumerate(legend) if index in kept], width, _GAP)


def _fullness(share: float) -> Role:
    return Role.BAD if share >= 0.97 else Role.WARNING if share >= 0.9 else Role.STRONG


def _fits_up_to(snapshot: Snapshot) -> list[Row]:
    """The largest micro batch that is predicted to fit."""
    fitting = [forecast.micro_batch_size for forecast in snapshot.forecasts if forecast.fits]
    # Forecasts go only so far above the present size: without one that does not fit, the limit is not known.
    is_limit = any(forecast.fits is False for forecast in snapshot.forecasts)
    return [labelled("fits up to" if is_limit else "fits at least", numbers.count(max(fitting)))] if fitting else []


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
