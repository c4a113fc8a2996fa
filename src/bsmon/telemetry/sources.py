"""What bsmon can measure on this machine and why not the rest, for `bsmon doctor`."""

from __future__ import annotations

import time
from dataclasses import dataclass
from importlib import metadata
from typing import Literal

from bsmon.core import cgroup
from bsmon.core.records import GpuSample, HardwareSample, HostSample
from bsmon.telemetry.attempt import attempt
from bsmon.telemetry.gpu_client import GpuClient, GpuReading
from bsmon.telemetry.sampler import HardwareSampler

State = Literal["ok", "absent", "broken"]

_PATIENCE_S = 20.0
_LOOK_S = 0.5
_SAMPLES = 4  # a rate needs two of them; the first costs more than those that follow
_HOST = (
    ("processor", ("cpu_percent", "machine_cpu_percent", "load_1m", "cores")),
    ("workers", ("workers", "workers_cpu_percent")),
    ("memory", ("rss_bytes", "memory_total_bytes", "memory_available_bytes", "swap_used_bytes")),
    ("files of the run", ("run_read_bytes_s", "run_storage_read_bytes_s", "run_storage_write_bytes_s")),
    ("disks", ("disk_read_bytes_s", "disk_write_bytes_s")),
    ("network", ("network_bytes_s",)),
)
"""What is read of the host, as a person would name it, and the fields of HostSample that hold it."""


@dataclass(frozen=True, slots=True)
class Source:
    """One source. absent: this machine has none, which is fine; broken: it should work and does not."""

    name: str
    state: State
    detail: str


def sources(gpus: GpuClient | None = None, interval_s: float = 1.0) -> list[Source]:
    """Try every source. Takes seconds: it imports torch, asks the GPU driver and samples as a run does, with deadlines.

    `interval_s`: between samples.
    """
    client = gpus or GpuClient()
    try:
        reading = _first_reading(client)
        samples = _samples(client, interval_s)
    finally:
        client.close()
    torch = _torch(reading.absent)
    return [*torch, *_gpus(reading), _psutil(), *_host(samples[-1].host), _container(), _sampling(samples, interval_s)]


def _first_reading(client: GpuClient) -> GpuReading:
    """Wait for the driver's first answer, or for the reason why there is none."""
    give_up = time.monotonic() + _PATIENCE_S
    reading = client.poll(wait_s=_LOOK_S)
    while client.is_running and not reading.gpus and reading.status and time.monotonic() < give_up:
        reading = client.poll(wait_s=_LOOK_S)
    return reading


def _torch(no_driver: bool) -> list[Source]:
    try:
        import torch
    except (ImportError, OSError) as error:  # OSError: one of its libraries is missing
        return [Source("torch", "broken", f"cannot be imported: {type(error).__name__}")]
    return [Source("torch", "ok", f"version {torch.__version__}"), _cuda(no_driver), _mps()]


def _cuda(no_driver: bool) -> Source:
    """CUDA, or ROCm, which torch offers under the same name."""
    import torch

    built_for = f"ROCm {torch.version.hip}" if torch.version.hip else f"CUDA {torch.version.cuda}"
    name = "ROCm" if torch.version.hip else "CUDA"
    if not torch.version.hip and not torch.version.cuda:
        return Source(name, "absent", "this torch is built for the CPU only")
    if no_driver:
        return Source(name, "absent", f"torch is built for {built_for}, but this machine has no GPU driver")
    if not torch.cuda.is_available():
        return Source(name, "broken", f"torch is built for {built_for} but finds no usable GPU")
    return Source(name, "ok", f"{built_for}, {torch.cuda.device_count()} visible")


def _mps() -> Source:
    import torch

    if not torch.backends.mps.is_built():
        return Source("MPS", "absent", "this torch is not built for Apple GPUs")
    usable = torch.backends.mps.is_available()
    return Source("MPS", "ok" if usable else "broken", "memory only" if usable else "macOS or the GPU is too old")


def _gpus(reading: GpuReading) -> list[Source]:
    if reading.absent:
        return [Source("GPU driver", "absent", reading.status)]
    if reading.status:
        return [Source("GPU driver", "broken", reading.status)]
    driver = Source("GPU driver", "ok", f"version {reading.driver}" if reading.driver else "version unknown")
    return [driver, *(_gpu(gpu) for gpu in reading.gpus)]


def _gpu(gpu: GpuSample) -> Source:
    name = f"GPU {gpu.index}"
    if "gpu" in gpu.reasons:
        return Source(name, "broken", gpu.reasons["gpu"])
    missing = [f"{field}: {reason}" for field, reason in gpu.reasons.items() if not field.startswith("pcie")]
    detail = f"{gpu.name}, {gpu.uuid or 'UUID unknown'}"
    return Source(name, "ok", f"{detail}; n/a: {'; '.join(missing)}" if missing else detail)


def _psutil() -> Source:
    cores = attempt(cgroup.usable_cores)
    return Source("psutil", "ok", f"version {metadata.version('psutil')}, {cores} cores usable")


def _container() -> Source:
    limits = attempt(cgroup.describe)
    return Source("container limits", "ok" if limits else "absent", limits or "no cgroup limit on memory or cores")


def _samples(client: GpuClient, interval_s: float) -> list[HardwareSample]:
    sampler = HardwareSampler(interval_s, gpus=client)
    try:
        taken = [sampler.sample()]
        for _ in range(_SAMPLES - 1):
            time.sleep(interval_s)
            taken.append(sampler.sample())
    finally:
        sampler.stop()
    return taken


def _host(host: HostSample) -> list[Source]:
    return [_host_source(host, name, fields) for name, fields in _HOST]


def _host_source(host: HostSample, name: str, fields: tuple[str, ...]) -> Source:
    missing = [field for field in fields if getattr(host, field) is None]
    told = "this system (or container) does not tell: " + ", ".join(missing)
    if len(missing) == len(fields):
        return Source(name, "absent", told)
    return Source(name, "ok", told if missing else "all readings")


def _sampling(samples: list[HardwareSample], interval_s: float) -> Source:
    """What sampling costs, as it does in a run: without the first, which imports and opens things."""
    costs = [sample.sampler_cpu_percent for sample in samples[2:] if sample.sampler_cpu_percent is not None]
    if not costs:
        return Source("sampling", "broken", "its cost is not known")
    cost = sum(costs) / len(costs)
    return Source("sampling", "ok", f"costs {cost:.2f} % of one core at a sample every {interval_s:g} s")
