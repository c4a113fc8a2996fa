"""Devices as rows: time shares, GPUs, torch, forecasts, and the mark on the memory bar."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bsmon.core.records import GpuSample, HardwareSample, HostSample, TorchMemory
from bsmon.core.snapshot import MemoryForecast, Snapshot
from bsmon.ui.device_rows import (
    forecast_row,
    gpu_notes,
    other_gpu_rows,
    reason_rows,
    time_rows,
    torch_row,
    traffic_rows,
)
from bsmon.ui.memory import PeakMark, gpu_memory, host_memory, peak_marks
from bsmon.ui.panels.hardware import Hardware, own_gpu, with_marks
from bsmon.ui.roles import Role, Row
from bsmon.ui.rows import row_width
from bsmon.ui.view import View
from tests import fakes
from tests.layer_fakes import TIME_SHARES, on_gpus

PHASES = tuple(TIME_SHARES)


def text(row: Row) -> str:
    return "".join(part for part, _ in row)


def shown(snapshot: Snapshot, width: int, height: int) -> str:
    panel = Hardware({}, id="hardware")
    return "\n".join(text(row) for row in panel.rows(View(snapshot), width, height))


def hardware_of(snapshot: Snapshot) -> HardwareSample:
    assert snapshot.hardware is not None
    return snapshot.hardware


@given(st.lists(st.integers(0, 1000), min_size=6, max_size=6), st.integers(30, 200), st.booleans())
def test_the_step_bar_keeps_its_width(thousandths: list[int], width: int, tall: bool) -> None:
    shares = {phase: count / 1000 for phase, count in zip(PHASES, thousandths, strict=True)}
    rows = time_rows(shares, width, tall=tall)
    assert len(rows) == (0 if not any(thousandths) else 2 if tall else 1)
    assert all(row_width(row) <= width for row in rows)
    if rows and tall:
        assert row_width(rows[0]) == width


def test_every_phase_is_named() -> None:
    legend = text(time_rows(TIME_SHARES, 120, tall=True)[1])
    for words in ("data wait 2 %", "to device 3 %", "forward 31 %", "backward 52 %", "optimizer 11 %", "bsmon 1 %"):
        assert words in legend


@pytest.mark.parametrize(("wait", "role"), [(0.09, Role.INK), (0.2, Role.WARNING)])
def test_waiting_for_data_is_worth_a_warning(wait: float, role: Role) -> None:
    legend = time_rows({"data_wait": wait, "forward": 1 - wait}, 120, tall=True)[1]
    assert legend[3][1] == role


def test_memory_is_split_as_the_driver_and_torch_have_it() -> None:
    hardware = hardware_of(on_gpus())
    gpu = own_gpu(hardware)
    assert gpu is not None
    memory = gpu_memory(gpu, hardware.torch)
    assert memory is not None
    assert [part.label for part in memory.parts] == ["run", "cache", "CUDA", "other", "driver"]
    assert memory.used + memory.free == memory.total


def test_the_next_size_is_marked_where_its_peak_would_be() -> None:
    snapshot = on_gpus()
    hardware = hardware_of(snapshot)
    gpu = own_gpu(hardware)
    assert gpu is not None
    memory = gpu_memory(gpu, hardware.torch)
    assert memory is not None
    kept = sum(part.size for part in memory.parts if part.label in ("CUDA", "other", "driver"))
    peaks = {found.micro_batch_size: found.peak_bytes for found in snapshot.forecasts}
    assert peak_marks(memory, snapshot, on_gpu=True) == [PeakMark(128, kept + peaks[128])]
    fenced = replace(snapshot, fences=(256,))
    assert peak_marks(memory, fenced, on_gpu=True)[1:] == [PeakMark(256, kept + peaks[256], ran_out=True)]
    only_fenced = replace(snapshot, fences=(128, 256))
    assert peak_marks(memory, only_fenced, on_gpu=True) == [PeakMark(128, kept + peaks[128], ran_out=True)]


def test_on_a_host_the_process_is_more_than_its_tensors() -> None:
    memory = host_memory(fakes.HOST)
    assert memory is not None
    larger = (MemoryForecast(64, 2**29, None, fits=True),)
    known = replace(fakes.training(), forecasts=larger, measured_peak_bytes=2**28)
    assert peak_marks(memory, known, on_gpu=False) == [PeakMark(64, memory.used + 2**28)]
    assert peak_marks(memory, replace(known, measured_peak_bytes=None), on_gpu=False) == []
    assert peak_marks(memory, fakes.training(), on_gpu=False) == []


@given(st.integers(0, 40), st.lists(st.integers(0, 60), max_size=3))
def test_marks_change_no_width_and_stand_in_the_free_part(free: int, uses: list[int]) -> None:
    bar: Row = (("█" * (40 - free), Role.MEMORY_RUN), ("░" * free, Role.RULE))
    marks = [PeakMark(number, use, ran_out=number > 0) for number, use in enumerate(uses)]
    marked, drawn = with_marks(bar, marks, 40, 40)
    assert row_width(marked) == 40
    assert text(marked).count("┃") + text(marked).count("╳") == len(drawn)
    assert all(mark.use >= 40 - free for mark in drawn)
    assert bool(drawn) == (free > 0 and any(use >= 40 - free for use in uses))


def test_where_room_is_short_the_run_and_what_is_free_are_still_named() -> None:
    legends = {width: shown(on_gpus(), width, 20).splitlines()[2] for width in (60, 80, 120)}
    assert all("run" in legend and "free" in legend and "of 80.0 GiB" in legend for legend in legends.values())
    assert "driver" not in legends[80]
    assert "driver" in legends[120]
    assert legends[120].index("cache") < legends[120].index("other") < legends[120].index("free")


def test_what_must_not_be_overlooked() -> None:
    gpu = GpuSample(0, "u", "x", stale_s=65.0, throttle_reasons=("power cap", "heat"), reasons={"gpu": "lost\x1b"})
    notes = [text(row) for row in gpu_notes(gpu, 200)]
    assert len(notes) == 3
    assert "lost\N{REPLACEMENT CHARACTER}" in notes[0]
    assert "1:05" in notes[1]
    assert "power cap, heat" in notes[2]


def test_each_reason_stands_once() -> None:
    reasons = {"power_w": "not supported", "power_limit_w": "not supported", "temperature_c": "no permission"}
    rows = [text(row).strip() for row in reason_rows(GpuSample(0, "u", "x", reasons=reasons), 200)]
    assert rows == ["n/a (not supported): power, power limit", "n/a (no permission): temperature"]


def test_other_gpus_have_a_line_each() -> None:
    rows = [text(row) for row in other_gpu_rows(hardware_of(on_gpus()), 118)]
    assert [row[:5] for row in rows] == ["GPU 1", "GPU 2", "GPU 3"]
    assert "12 % busy" in rows[0]
    assert "GPU is lost" in rows[1]
    assert "busy" not in rows[1]
    assert "old by 0:42" in rows[2]


def test_torchs_allocator() -> None:
    row = text(torch_row(TorchMemory(2**30, 2**31, None, alloc_retries=3, ooms=1, inactive_split_bytes=2**20), 200))
    for words in ("allocated 1.00 GiB", "reserved 2.00 GiB", "peak n/a", "retries 3", "fragments 1.00 MiB"):
        assert words in row


def test_what_the_run_reads_and_the_disk_of_its_data() -> None:
    host = HostSample(
        run_read_bytes_s=2.0**30,
        run_storage_read_bytes_s=0.0,
        data_storage="nvme0n1p2 (ext4)\x1b[2J",
        data_disk_read_bytes_s=3 * 2.0**20,
        data_disk_write_bytes_s=0.0,
        network_bytes_s=1024.0,
    )
    files, data, machine = map(text, traffic_rows(host, 110))
    for words in ("run reads 1.00 GiB/s", "from storage 0 B/s", "writes n/a"):
        assert words in files
    assert "on nvme0n1p2 (ext4)" in data
    assert "its disk reads 3.00 MiB/s  writes 0 B/s" in data
    assert "\x1b" not in data
    assert "network 1.00 KiB/s" in machine
    assert "all disks read n/a" in machine


@pytest.mark.parametrize(
    ("storage", "rows"), [("filer:/a (nfs4, over the network)", ["on filer:/a (nfs4, over the network)"]), ("", [])]
)
def test_data_on_no_disk_have_no_disks_rate(storage: str, rows: list[str]) -> None:
    shown = [text(row) for row in traffic_rows(HostSample(data_storage=storage), 200)[1:-1]]
    assert [row.removeprefix("data    ") for row in shown] == rows


def test_forecasts_and_fences() -> None:
    (row,) = forecast_row(on_gpus(), 200)
    for words in ("128 35.2 GiB fits", "256 71.0 GiB does not fit", "ran out at 512", "measured now 18.3 GiB"):
        assert words in text(row)
    assert forecast_row(fakes.training(), 200) == []


def test_a_gpu_that_shares_the_machines_memory_shows_what_torch_and_the_machine_tell() -> None:
    gpu = GpuSample(
        0, "u", "GB10", is_mine=True, reasons={"memory_total_bytes": "this GPU shares the machine's memory"}
    )
    torch = TorchMemory(5 * 2**30, 6 * 2**30, None)
    host = HostSample(memory_total_bytes=120 * 2**30, memory_available_bytes=90 * 2**30)
    lines = shown(
        replace(on_gpus(), hardware=HardwareSample(1.0, host, gpus=(gpu,), torch=torch)), 118, 20
    ).splitlines()
    assert "n/a this GPU shares the machine's memory" in lines[1]
    assert "run 5.00 GiB  cache 1.00 GiB  machine 90.0 GiB of 120 GiB free" in lines[2]


def test_the_largest_size_that_was_forecast_is_no_limit_while_it_fits() -> None:
    fits = MemoryForecast(64, 2**20, 2**30, fits=True)
    too_large = MemoryForecast(128, 2**31, 2**30, fits=False)
    for forecasts, words in (((fits,), "fits at least 64"), ((fits, too_large), "fits up to 64")):
        assert words in shown(replace(fakes.training(), forecasts=forecasts), 118, 10)


@pytest.mark.parametrize("width", [60, 78, 118, 198])
@pytest.mark.parametrize("height", [1, 3, 6, 8, 21, 45])
@pytest.mark.parametrize("others", [0, 3])
def test_the_panel_keeps_its_height(width: int, height: int, others: int) -> None:
    lines = shown(on_gpus(others), width, height).splitlines()
    assert len(lines) <= height
    assert all(len(line) <= width for line in lines)
    if height >= 3:
        assert "memory" in lines[1]


def test_all_is_there_where_there_is_room() -> None:
    whole = shown(on_gpus(), 118, 37)
    for words in ("memory bandwidth 38 %", "2619 MHz", "PCIe in 1.21 GiB/s", "412 of 700 W", "slowed down: power cap"):
        assert words in whole
    assert "temperature n/a" not in whole
