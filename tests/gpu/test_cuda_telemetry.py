"""The CUDA path on a real GPU: allocator, memory split, events, budget, a real out-of-memory. Run with `-m gpu`."""

from __future__ import annotations

import queue
import time
from collections.abc import Iterator

import pytest
import torch

from bsmon.core.memory_split import memory_split
from bsmon.core.records import HardwareSample
from bsmon.telemetry.clock import step_timer
from bsmon.telemetry.sampler import HardwareSampler
from bsmon.telemetry.torch_memory import device_uuid, read_torch_memory

pytestmark = pytest.mark.gpu

DEVICE = "cuda:0"
PATIENCE_S = 60.0
MIB = 1 << 20


@pytest.fixture(autouse=True)
def _clean(_there_is_one: None) -> Iterator[None]:
    """CUDA started, nothing cached, no budget; the same again afterwards."""
    torch.cuda.init()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(DEVICE)
    yield
    torch.cuda.set_per_process_memory_fraction(1.0, torch.device(DEVICE))
    torch.cuda.empty_cache()


def sample_with_own_gpu() -> HardwareSample:
    received: queue.Queue[HardwareSample] = queue.Queue()
    sampler = HardwareSampler(0.2, received.put)
    sampler.set_device(device_uuid(DEVICE), DEVICE)
    sampler.start()
    try:
        give_up = time.monotonic() + PATIENCE_S
        sample = received.get(timeout=PATIENCE_S)
        while not any(gpu.is_mine for gpu in sample.gpus):
            assert time.monotonic() < give_up, sample
            sample = received.get(timeout=PATIENCE_S)
        return sample
    finally:
        sampler.stop()


def test_allocated_reserved_and_peak_follow_torch() -> None:
    before = read_torch_memory(DEVICE)
    assert before is not None
    held = torch.empty(64 * MIB, dtype=torch.uint8, device=DEVICE)
    brief = torch.empty(32 * MIB, dtype=torch.uint8, device=DEVICE)
    del brief
    after = read_torch_memory(DEVICE)
    assert after is not None
    assert after.allocated_bytes - before.allocated_bytes == held.numel()
    assert after.peak_bytes is not None
    assert after.peak_bytes - before.allocated_bytes == 96 * MIB
    assert after.reserved_bytes >= after.allocated_bytes


def test_reading_the_allocator_does_not_wait_for_the_gpu() -> None:
    done = torch.cuda.Event()
    torch.cuda._sleep(2_000_000_000)  # about a second of GPU time
    done.record()
    assert read_torch_memory(DEVICE) is not None
    assert not done.query()
    torch.cuda.synchronize()


def test_the_runs_own_gpu_is_found_by_uuid_and_its_memory_adds_up() -> None:
    held = torch.ones(256 * MIB, dtype=torch.uint8, device=DEVICE)
    sample = sample_with_own_gpu()
    gpu = sample.gpus[0]
    assert gpu.is_mine
    split = memory_split(gpu, sample.torch)
    assert split is not None
    assert split.tensors >= held.numel()
    context = split.context or 0
    parts = split.tensors + split.cached + context + split.others + split.system + split.free
    assert parts == split.total
    assert context + split.others > 50 * MIB  # a CUDA context takes hundreds of MiB
    properties = torch.cuda.get_device_properties(0)
    assert split.total == pytest.approx(properties.total_memory, rel=0.05)


def test_utilisation_and_power_of_a_busy_gpu_are_possible_values() -> None:
    matrix = torch.randn(4096, 4096, device=DEVICE)
    for _ in range(200):
        matrix = torch.nn.functional.normalize(matrix @ matrix)
    gpu = sample_with_own_gpu().gpus[0]
    torch.cuda.synchronize()
    assert gpu.utilisation_percent is None or 0 <= gpu.utilisation_percent <= 100
    for cell in ("temperature_c", "power_w", "sm_clock_mhz", "memory_total_bytes"):
        assert getattr(gpu, cell) is not None or gpu.reasons[cell]


def test_cuda_events_time_the_phases_without_a_sync() -> None:
    timer = step_timer(DEVICE)
    matrix = torch.randn(2048, 2048, device=DEVICE)
    matrix @ matrix  # the first product loads the library, which would be the first step's forward
    torch.cuda.synchronize()
    for _ in range(40):
        timer.mark("forward")
        matrix @ matrix
        timer.mark("backward")
        for _ in range(4):
            matrix @ matrix
        timer.end_step()
    torch.cuda.synchronize()
    timer.end_step()
    shares = timer.shares()
    assert shares is not None
    assert sum(shares.values()) == pytest.approx(1.0)
    assert shares["backward"] > shares["forward"]


def test_the_host_is_not_held_up_by_marks() -> None:
    timer = step_timer(DEVICE)
    torch.cuda._sleep(2_000_000_000)
    done = torch.cuda.Event()
    done.record()
    for _ in range(20):
        timer.mark("forward")
        timer.end_step()
    timer.shares()
    assert not done.query()
    torch.cuda.synchronize()


def test_a_budget_is_a_real_limit_and_an_out_of_memory_is_counted() -> None:
    before = read_torch_memory(DEVICE)
    assert before is not None
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(0.1, torch.device(DEVICE))
    with pytest.raises(torch.OutOfMemoryError):
        torch.empty(total // 5, dtype=torch.uint8, device=DEVICE)
    after = read_torch_memory(DEVICE)
    assert after is not None
    assert after.ooms == before.ooms + 1
    assert after.allocated_bytes == before.allocated_bytes
    assert torch.empty(MIB, dtype=torch.uint8, device=DEVICE).numel() == MIB
