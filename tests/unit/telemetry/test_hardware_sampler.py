"""The sampler's thread, without a GPU driver."""

from __future__ import annotations

import os
import queue
import threading

import pytest

from bsmon.core.records import GpuProcess, GpuSample, HardwareSample
from bsmon.telemetry import sampler as module
from bsmon.telemetry.gpu_client import Deadlines, GpuClient
from bsmon.telemetry.gpu_process import ReaderGone
from bsmon.telemetry.gpu_protocol import Answer, Request, encode
from bsmon.telemetry.sampler import HardwareSampler, own_first

PATIENCE_S = 30.0
FIRST, SECOND = (GpuSample(index=index, uuid=f"GPU-{index}", name="H200") for index in range(2))


class Process:
    """A reader that always gives the same GPUs, or dies."""

    pid = 1

    def __init__(self, gpus: tuple[GpuSample, ...]) -> None:
        self._gpus = gpus

    def ask(self, request: Request) -> None: ...

    def receive(self, timeout_s: float) -> bytes:
        if not self._gpus:
            raise ReaderGone("crashed")
        return encode(Answer(self._gpus)).strip()

    def kill(self) -> None: ...

    def is_dead(self) -> bool:
        return True


def client(*gpus: GpuSample) -> GpuClient:
    return GpuClient(Deadlines(), start=lambda: Process(gpus))


def samples(sampled: HardwareSampler, received: queue.Queue[HardwareSample], count: int) -> list[HardwareSample]:
    sampled.start()
    got = [received.get(timeout=PATIENCE_S) for _ in range(count)]
    sampled.stop()
    return got


def test_samples_come_until_it_is_stopped() -> None:
    received: queue.Queue[HardwareSample] = queue.Queue()
    times = iter(range(100_000))
    sampled = HardwareSampler(0.001, received.put, clock=lambda: float(next(times)), gpus=client(FIRST))
    got = samples(sampled, received, 3)
    assert [sample.time_s for sample in got] == [0, 1, 2]
    assert got[0].sampler_cpu_percent is None
    assert got[-1].sampler_cpu_percent is not None
    assert got[-1].host.rss_bytes is not None
    assert not {"bsmon-sampler", "bsmon-host"} & {thread.name for thread in threading.enumerate()}


def test_a_crashing_driver_costs_the_host_nothing() -> None:
    received: queue.Queue[HardwareSample] = queue.Queue()
    (sample,) = samples(HardwareSampler(0.001, received.put, gpus=client()), received, 1)
    assert (sample.gpus, sample.gpu_status) == ((), "crashed")
    assert sample.host.rss_bytes is not None


@pytest.mark.parametrize(("uuid", "device", "mine"), [("0", "cuda:1", 0), (None, "cuda:1", 1), (None, "cpu", None)])
def test_the_runs_gpu(monkeypatch: pytest.MonkeyPatch, uuid: str | None, device: str, mine: int | None) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    received: queue.Queue[HardwareSample] = queue.Queue()
    sampled = HardwareSampler(0.001, received.put, gpus=client(FIRST, SECOND))
    sampled.set_device(uuid, device)
    last = samples(sampled, received, 2)[-1]
    assert [gpu.index for gpu in last.gpus if gpu.is_mine] == ([] if mine is None else [mine])
    assert last.gpus[0].index == (mine or 0)


@pytest.mark.parametrize(("visible", "expected"), [(True, 77), (False, None)])
def test_own_memory_is_known_only_where_process_ids_are_the_machines(
    monkeypatch: pytest.MonkeyPatch, visible: bool, expected: int | None
) -> None:
    monkeypatch.setattr(module, "pids_are_the_machines", lambda: visible)
    processes = (GpuProcess(pid=os.getpid(), name="python", memory_bytes=77),)
    gpu = GpuSample(index=0, uuid="GPU-0", name="H200", processes=processes)
    assert own_first((gpu,), ["GPU-0"])[0].own_process_bytes == expected


def test_every_ranks_gpu_is_the_runs_and_rank_0s_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "pids_are_the_machines", lambda: True)
    rank, other = GpuProcess(pid=71, name="python", memory_bytes=5), GpuProcess(pid=99, name="x", memory_bytes=9)
    gpus = tuple(GpuSample(index=i, uuid=f"GPU-{i}", name="H200", processes=(rank, other)) for i in range(4))
    found = own_first(gpus, ["GPU-2", "GPU-1"], {71})
    assert [(gpu.index, gpu.is_mine, gpu.own_process_bytes) for gpu in found] == [
        (2, True, 5),
        (1, True, 5),
        (0, False, None),
        (3, False, None),
    ]


def test_stopping_what_never_started_is_harmless() -> None:
    HardwareSampler(gpus=client()).stop()
