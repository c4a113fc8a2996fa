"""The GPU reader's process on the stub: hangs, crashes, lost GPUs, odd hardware; and what the sampler sees of them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from bsmon.core.records import GpuSample, HardwareSample
from bsmon.telemetry.gpu_client import Deadlines, GpuClient, GpuReading
from bsmon.telemetry.sampler import HardwareSampler
from tests.faults.nvml.conftest import use
from tests.faults.nvml.stub import Control, slice_uuid, uuid_of

PATIENCE_S = 30.0


def poll_until(client: GpuClient, wanted: Callable[[GpuReading], bool], own: str = "") -> GpuReading:
    """Poll until the reading is as wanted; fails when it never is."""
    give_up = time.monotonic() + PATIENCE_S
    reading = client.poll(own, wait_s=0.05)
    while not wanted(reading):
        assert time.monotonic() < give_up, f"never came; last was {reading}"
        reading = client.poll(own, wait_s=0.05)
    return reading


def is_fresh(reading: GpuReading) -> bool:
    return bool(reading.gpus) and not reading.status and all(gpu.stale_s is None for gpu in reading.gpus)


def first(client: GpuClient, own: str = "") -> GpuSample:
    return poll_until(client, is_fresh, own).gpus[0]


def test_reads_every_gpu_and_the_slow_numbers_only_of_the_own_one(on_stub: Control, client: GpuClient) -> None:
    on_stub.set({"count": 2, "used.1": 5 << 30, "throttle": 0x4})
    reading = poll_until(client, is_fresh, own=uuid_of(1))
    other, own = reading.gpus
    assert reading.driver == "570.00"
    assert (own.index, own.uuid, own.name) == (1, uuid_of(1), "Fake H200")
    assert (own.memory_total_bytes, own.memory_used_bytes, own.memory_reserved_bytes) == (80 << 30, 5 << 30, 512 << 20)
    assert (own.utilisation_percent, own.memory_utilisation_percent, own.temperature_c) == (37, 5, 55)
    assert (own.power_w, own.power_limit_w, own.sm_clock_mhz, own.memory_clock_mhz) == (350, 700, 1980, 3200)
    assert own.throttle_reasons == ("power cap",)
    assert (own.pcie_tx_bytes_s, own.pcie_rx_bytes_s) == (1_000_000, 2_000_000)
    assert own.processes is not None
    assert own.processes[0].name == "/usr/bin/python train.py"
    assert other.pcie_rx_bytes_s is None
    assert "this run" in other.reasons["pcie_rx_bytes_s"]


def test_old_struct_versions(
    old_stub: Path, control: Control, monkeypatch: pytest.MonkeyPatch, client: GpuClient
) -> None:
    use(old_stub, control, monkeypatch)
    gpu = first(client)
    assert (gpu.memory_used_bytes, gpu.memory_reserved_bytes) == ((1 << 30) + (512 << 20), None)
    assert gpu.temperature_c == 55
    assert gpu.throttle_reasons == ()
    assert gpu.processes is not None


@pytest.mark.parametrize("name", [r"\xff\xfe H200", r"\xc3( H200", r"H200\x1b]0;owned\x07"])
def test_a_name_that_is_no_text_is_cleaned(on_stub: Control, client: GpuClient, name: str) -> None:
    on_stub.set({"name": name, "procname": name, "driver": name})
    reading = poll_until(client, is_fresh)
    processes = reading.gpus[0].processes or ()
    for text in (reading.gpus[0].name, reading.driver, *(process.name for process in processes)):
        assert "H200" in text
        assert text.isprintable()


@pytest.mark.parametrize(
    ("settings", "cell", "reason"),
    [
        ({"util": 4294967295}, "utilisation_percent", "4294967295 %"),
        ({"util": 101}, "utilisation_percent", "101 %"),
        ({"memutil": 250}, "memory_utilisation_percent", "250 %"),
        ({"total": 0, "used": 0, "reserved": 0}, "memory_total_bytes", "shares the machine's memory"),
        ({"used": 1 << 40}, "memory_used_bytes", "more memory than the GPU has"),
        ({"temp": 4000000000}, "temperature_c", "degrees"),
        ({"mig": 1}, "utilisation_percent", "MIG"),
        ({"null_handle": 1}, "gpu", "no handle"),
    ],
)
def test_what_cannot_be_true_is_unknown(
    on_stub: Control, client: GpuClient, settings: dict[str, object], cell: str, reason: str
) -> None:
    on_stub.set(settings)
    gpu = first(client)
    assert getattr(gpu, cell, None) is None
    assert reason in gpu.reasons[cell]


def test_a_process_whose_memory_the_driver_hides(on_stub: Control, client: GpuClient) -> None:
    on_stub.set({"pused": 0xFFFFFFFFFFFFFFFF})
    processes = first(client).processes
    assert processes is not None
    assert processes[0].memory_bytes is None


def test_mig_slices_are_gpus_of_their_own_without_utilisation(on_stub: Control, client: GpuClient) -> None:
    on_stub.set({"mig": 1, "slices": 2})
    whole, *slices = poll_until(client, is_fresh).gpus
    assert whole.uuid == uuid_of(0)
    assert [gpu.uuid for gpu in slices] == [slice_uuid(0, 0), slice_uuid(0, 1)]
    assert all(gpu.utilisation_percent is None and gpu.memory_total_bytes for gpu in slices)


def test_a_lost_gpu_keeps_its_last_numbers_and_comes_back(on_stub: Control, client: GpuClient) -> None:
    on_stub.set({"count": 2})
    poll_until(client, is_fresh)
    on_stub.set({"count": 2, "fault.*.1": 15})
    reading = poll_until(client, lambda reading: reading.gpus[1].stale_s is not None)
    assert reading.gpus[0].stale_s is None
    assert reading.gpus[1].memory_used_bytes == 1 << 30
    assert "lost" in reading.gpus[1].reasons["gpu"]
    assert reading.status == ""
    on_stub.set({"count": 2, "util.1": 99})
    assert poll_until(client, is_fresh).gpus[1].utilisation_percent == 99


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        ({"hang.nvmlDeviceGetPowerUsage": 600}, "does not answer"),
        ({"crash.nvmlDeviceGetName": 1, "crash.nvmlDeviceGetMemoryInfo": 1}, "crashed"),
        ({"fault.nvmlDeviceGetCount": 999}, "unknown error"),
    ],
)
def test_the_last_numbers_stay_with_their_age_until_the_driver_is_back(
    on_stub: Control, client: GpuClient, fault: dict[str, object], status: str
) -> None:
    poll_until(client, is_fresh)
    on_stub.set(fault)
    reading = poll_until(client, lambda reading: status in reading.status)
    assert reading.gpus[0].memory_used_bytes == 1 << 30
    assert reading.gpus[0].stale_s is not None
    assert reading.gpus[0].reasons["gpu"] == reading.status
    on_stub.set({"util": 88})
    assert first(client).utilisation_percent == 88


@pytest.mark.parametrize(("code", "status"), [(9, "not loaded"), (18, "different versions"), (999, "unknown error")])
def test_a_driver_that_does_not_start_at_first(on_stub: Control, client: GpuClient, code: int, status: str) -> None:
    on_stub.set({"fault.nvmlInit": code})
    assert poll_until(client, lambda reading: status in reading.status).gpus == ()
    on_stub.set({})
    assert first(client).utilisation_percent == 37


def test_without_a_driver_nothing_is_tried_again(
    tmp_path: Path, control: Control, monkeypatch: pytest.MonkeyPatch, client: GpuClient
) -> None:
    (tmp_path / "libnvidia-ml.so.1").write_bytes(b"")  # hides a real one
    use(tmp_path, control, monkeypatch)
    reading = poll_until(client, lambda reading: reading.absent)
    assert reading.status == "no NVIDIA driver found: libnvidia-ml.so.1 is not installed"
    assert client.poll().absent
    assert not client.is_running


def test_the_reader_dies_with_its_parent_even_while_it_hangs(on_stub: Control) -> None:
    on_stub.set({"hang.nvmlInit": 600})
    script = (
        "import os, signal\n"
        "from bsmon.telemetry.gpu_process import GpuReaderProcess\n"
        "from bsmon.telemetry.gpu_protocol import Answer, Request\n"
        "reader = GpuReaderProcess()\n"
        "reader.ask(Request())\n"
        "assert reader.receive(1.0) is None\n"
        "print(reader.pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=60)
    reader = int(done.stdout)
    give_up = time.monotonic() + PATIENCE_S
    while psutil.pid_exists(reader) and psutil.Process(reader).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < give_up, "the reader outlived its parent"
        time.sleep(0.01)


def test_a_hanging_driver_does_not_stop_the_other_sources(on_stub: Control) -> None:
    on_stub.set({"hang.nvmlDeviceGetPowerUsage": 600})
    samples: list[HardwareSample] = []
    client = GpuClient(Deadlines(answer=600, first_answer=600))
    sampler = HardwareSampler(interval_s=0.02, on_sample=samples.append, gpus=client)
    sampler.start()
    give_up = time.monotonic() + PATIENCE_S
    while len(samples) < 20 and time.monotonic() < give_up:
        time.sleep(0.01)
    sampler.stop()
    assert len(samples) >= 20
    assert samples[-1].host.rss_bytes is not None
    assert samples[-1].gpus == ()
    assert samples[-1].gpu_status == "waiting for the GPU driver"


def test_the_runs_gpu_is_marked_and_comes_first(on_stub: Control) -> None:
    on_stub.set({"count": 2, "pid": os.getpid()})
    seen: list[HardwareSample] = []
    sampler = HardwareSampler(interval_s=0.02, on_sample=seen.append)
    sampler.set_device(uuid_of(1).removeprefix("GPU-"), "cuda:0")
    sampler.start()
    give_up = time.monotonic() + PATIENCE_S
    while not (seen and seen[-1].gpus) and time.monotonic() < give_up:
        time.sleep(0.01)
    sampler.stop()
    assert [(gpu.index, gpu.is_mine) for gpu in seen[-1].gpus] == [(1, True), (0, False)]
