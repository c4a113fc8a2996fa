"""The hardware sampler: a daemon thread of its own that reads host, GPUs and torch's allocator once an interval.

It never touches the training thread, never makes the GPU wait, and a source that hangs costs the others nothing.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

from bsmon.core.records import GpuSample, HardwareSample, HostSample, TorchMemory
from bsmon.telemetry.attempt import attempt
from bsmon.telemetry.background import BackgroundCall
from bsmon.telemetry.gpu_client import GpuClient, GpuReading
from bsmon.telemetry.host import HostReader
from bsmon.telemetry.pid_namespace import pids_are_the_machines
from bsmon.telemetry.torch_memory import read_torch_memory
from bsmon.telemetry.visible_devices import VisibleDevices, own_slice, own_uuid, same_uuid

_HOST_DEADLINE_S = 1.0
_STOP_S = 2.0


@dataclass(frozen=True, slots=True)
class _Device:
    uuid: str = ""  # "" = to be found by number
    name: str = "cpu"
    others: tuple[_Device, ...] = ()  # the other ranks'


@dataclass(frozen=True, slots=True)
class _Local:
    """What is read inside this process."""

    host: HostSample
    torch: TorchMemory | None = None


class HardwareSampler:
    """Gives `on_sample` a HardwareSample about every `interval_s` seconds, from its own thread.

    `clock` gives the samples' `time_s`. `on_sample` returns at once and does not raise; if it does, the sampler ends.
    """

    def __init__(
        self,
        interval_s: float = 1.0,
        on_sample: Callable[[HardwareSample], None] = lambda _sample: None,
        clock: Callable[[], float] = time.monotonic,
        gpus: GpuClient | None = None,
    ) -> None:
        self._interval_s = interval_s
        self._on_sample = on_sample
        self._clock = clock
        self._gpus = gpus or GpuClient()
        self._visible = VisibleDevices.from_environment(os.environ)
        self._device = _Device()
        self._host = HostReader()
        self._local = BackgroundCall(self._read_local, "bsmon-host")
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="bsmon-sampler", daemon=True)
        self._cost: tuple[float, float] | None = None

    def set_device(self, uuid: str | None, torch_device: str, others: Sequence[tuple[str | None, str]] = ()) -> None:
        """Tell which device the run trains on, from any thread: its UUID as torch has it (None: unknown), and "cuda:0".

        Without a UUID the GPU is found through CUDA_VISIBLE_DEVICES where that is certain; else no GPU is marked.
        `others`: the same of the run's other ranks.
        """
        ranks = tuple(_Device(other or "", name) for other, name in others)
        self._device = _Device(uuid or "", torch_device, ranks)

    def set_data_paths(self, paths: Sequence[str]) -> None:
        """Tell which files or folders the run reads its data from, from any thread; none where that is not known."""
        self._host.set_data_paths(paths)

    def start(self) -> None:
        """Begin sampling."""
        self._thread.start()

    def stop(self) -> None:
        """End sampling and the GPU reader's process; returns within a few seconds whatever hangs."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(_STOP_S)
        else:
            self._close()

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                begun = time.monotonic()
                self._on_sample(self.sample())
                self._stopping.wait(max(self._interval_s - (time.monotonic() - begun), 0.0))
        finally:
            self._close()

    def _close(self) -> None:
        self._gpus.close()
        self._local.close(_STOP_S / 2)

    def sample(self) -> HardwareSample:
        """One sample now; takes as long as the sources' deadlines at most. The sampler's thread calls this."""
        device = self._device
        reading = self._gpus.poll(self._own_uuid(device), wait_s=self._interval_s / 2)
        local = self._local.result(_HOST_DEADLINE_S) or _Local(HostSample())
        own = [self._own_uuid(rank) for rank in (device, *device.others)]
        return HardwareSample(
            time_s=self._clock(),
            host=local.host,
            gpus=own_first(reading.gpus, own, self._host.pids),
            torch=local.torch,
            gpu_status=reading.status,
            sampler_cpu_percent=self._cpu_percent(reading),
        )

    def _own_uuid(self, device: _Device) -> str:
        if not device.uuid:
            return own_uuid(device.name, self._visible, self._gpus.last)
        return own_slice(device.uuid, self._visible, self._gpus.last)

    def _read_local(self) -> _Local:
        host = self._host.read(exclude=self._gpus.pids)
        return _Local(host, attempt(lambda: read_torch_memory(self._device.name)))

    def _cpu_percent(self, reading: GpuReading) -> float | None:
        """Percent of one core since the last sample: this thread, the host's thread and the GPU reader's process."""
        used, now = time.thread_time() + self._local.cpu_s + reading.cpu_s, time.monotonic()
        before, self._cost = self._cost, (used, now)
        if before is None or now <= before[1]:
            return None
        return 100 * max(used - before[0], 0.0) / (now - before[1])


def own_first(
    gpus: tuple[GpuSample, ...], own: Sequence[str], pids: Collection[int] = frozenset()
) -> tuple[GpuSample, ...]:
    """The run's GPUs marked and put first, rank 0's before the others'; the rest in NVML's order.

    `pids`: the run's processes beside this one.
    """
    places = {gpu.uuid: place for place, uuid in enumerate(own) for gpu in gpus if same_uuid(gpu.uuid, uuid)}
    marked = [_marked(gpu, {os.getpid(), *pids}) if gpu.uuid in places else gpu for gpu in gpus]
    return tuple(sorted(marked, key=lambda gpu: places.get(gpu.uuid, len(own))))


def _marked(gpu: GpuSample, pids: Collection[int]) -> GpuSample:
    """A GPU of the run, with the run's share of its memory where process ids can be matched at all."""
    visible = gpu.processes if pids_are_the_machines() else None
    mine = [process.memory_bytes for process in visible or () if process.pid in pids]
    known = [size for size in mine if size is not None]
    return replace(gpu, is_mine=True, own_process_bytes=sum(known) if known else None)
