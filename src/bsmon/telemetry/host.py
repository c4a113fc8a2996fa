"""The machine and this process through psutil. Every cell is read by itself; one that fails is None, never 0."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil

from bsmon.core import cgroup
from bsmon.core.records import HostSample
from bsmon.telemetry.attempt import attempt
from bsmon.telemetry.data_storage import DataStorage, find_storage, transferred_bytes
from bsmon.telemetry.process_tree import ProcessTree
from bsmon.telemetry.rates import Rates

_NETWORK = Path("/sys/class/net")


class HostReader:
    """Reads the host; keeps the last counters to make rates of. One thread uses it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._rates = Rates()
        self._tree = ProcessTree(clock)
        self._busy: tuple[float, float] | None = None
        self._data_paths: Sequence[str] = ()
        self._storage: DataStorage | None = DataStorage()

    def set_data_paths(self, paths: Sequence[str]) -> None:
        """Tell where the training data lie, from any thread; their disk is looked up with the next reading."""
        self._data_paths, self._storage = paths, None

    @property
    def pids(self) -> frozenset[int]:
        """The processes that belong to this one, as last read; from any thread."""
        return self._tree.pids

    def read(self, exclude: frozenset[int] = frozenset()) -> HostSample:
        """One sample. `exclude`: child processes that are bsmon's own and no part of the training."""
        usage = self._tree.read(exclude)
        total, available = _memory()
        storage = self._find_storage()
        run_read, run_fetched, run_written = self._rates_of("run", usage.traffic, 3)
        disk_read, disk_written = self._rates_of("data disk", attempt(lambda: transferred_bytes(storage)), 2)
        all_read, all_written = self._rates_of("all disks", attempt(_disk_bytes), 2)
        return HostSample(
            rss_bytes=usage.rss_bytes,
            cpu_percent=usage.cpu_percent,
            workers_cpu_percent=usage.children_cpu_percent,
            workers=usage.children,
            machine_cpu_percent=self._machine_cpu_percent(),
            cores=attempt(cgroup.usable_cores),
            load_1m=attempt(lambda: os.getloadavg()[0]),
            memory_total_bytes=total,
            memory_available_bytes=available,
            swap_used_bytes=attempt(lambda: int(psutil.swap_memory().used)),
            run_read_bytes_s=run_read,
            run_storage_read_bytes_s=run_fetched,
            run_storage_write_bytes_s=run_written,
            data_storage=storage.name,
            data_disk_read_bytes_s=disk_read,
            data_disk_write_bytes_s=disk_written,
            disk_read_bytes_s=all_read,
            disk_write_bytes_s=all_written,
            network_bytes_s=self._rate("network", attempt(_network_bytes)),
        )

    def _find_storage(self) -> DataStorage:
        if self._storage is None:
            self._storage = attempt(lambda: find_storage(self._data_paths)) or DataStorage()
        return self._storage

    def _rate(self, key: str, counter: float | None) -> float | None:
        return self._rates.per_second(key, counter, self._clock())

    def _rates_of(self, key: str, counters: Sequence[int] | None, count: int) -> list[float | None]:
        """The rates of so many counters that were read together, or together not at all."""
        return [self._rate(f"{key} {at}", None if counters is None else counters[at]) for at in range(count)]

    def _machine_cpu_percent(self) -> float | None:
        now = attempt(_busy_and_total)
        before, self._busy = self._busy, now
        if now is None or before is None or now[1] <= before[1]:
            return None
        return min(max(100 * (now[0] - before[0]) / (now[1] - before[1]), 0.0), 100.0)


def _memory() -> tuple[int | None, int | None]:
    """Total and available bytes: the container's where it has a limit below the machine's."""
    machine = attempt(psutil.virtual_memory)
    limit = attempt(cgroup.memory_limit)
    if machine is None:
        return (limit.limit_bytes, limit.available_bytes) if limit else (None, None)
    if limit is None:
        return int(machine.total), int(machine.available)
    return min(int(machine.total), limit.limit_bytes), min(int(machine.available), limit.available_bytes)


def _busy_and_total() -> tuple[float, float]:
    """Seconds that all cores together were busy, and all seconds. Linux counts guests as user time already."""
    times = psutil.cpu_times()._asdict()
    total = sum(times.values()) - times.get("guest", 0.0) - times.get("guest_nice", 0.0)
    return total - times["idle"] - times.get("iowait", 0.0), total


def _disk_bytes() -> tuple[int, int]:
    """Read from and written to all disks."""
    counters = psutil.disk_io_counters()
    if counters is None:
        raise LookupError("this machine shows no disks")
    return int(counters.read_bytes), int(counters.write_bytes)


def _network_bytes() -> float:
    """Received and sent through real interfaces: a container bridge would count each byte again."""
    counters = psutil.net_io_counters(pernic=True)
    hardware = [name for name in counters if (_NETWORK / name / "device").exists()]
    names = hardware or [name for name in counters if name != "lo"]
    if not names:
        raise LookupError("this machine shows no network")
    return float(sum(counters[name].bytes_recv + counters[name].bytes_sent for name in names))
