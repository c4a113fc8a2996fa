"""What bsmon can measure on this machine and why not the rest, for `bsmon doctor`."""

from __future__ import annotations

import time
from dataclasses import dataclass
from importlib import metadata
from typing import Literal

from bsmon.core import cgroup
from bsmon.core.records import GpuSample
from bsmon.telemetry.attempt import attempt
from bsmon.telemetry.gpu_client import GpuClient, GpuReading

State = Literal["ok", "absent", "broken"]

_PATIENCE_S = 20.0
_LOOK_S = 0.5


@dataclass(frozen=True, slots=True)
class Source:
    """One source. absent: this machine has none, which is fine; broken: it should work and does not."""

    name: str
    state: State
    detail: str


def sources(gpus: GpuClient | None = None) -> list[Source]:
    """Try every source once. Takes seconds: it imports torch and asks the GPU driver, with deadlines."""
    client = gpus or GpuClient()
    try:
        reading = _first_reading(client)
    finally:
        client.close()
    return [*_torch(reading.absent), *_gpus(reading), _psutil(), _container()]


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
