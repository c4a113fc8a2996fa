"""The host's numbers: plausible here, and None cell by cell where the system refuses."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from bsmon.core import cgroup
from bsmon.core.cgroup import CgroupMemory
from bsmon.core.records import HostSample
from bsmon.telemetry import host
from bsmon.telemetry.data_storage import DataStorage
from bsmon.telemetry.host import HostReader
from bsmon.telemetry.process_tree import ProcessTree

RATES = {"cpu_percent", "workers_cpu_percent", "machine_cpu_percent"}
RATES |= {"disk_read_bytes_s", "disk_write_bytes_s", "network_bytes_s"}
RUN = {"run_read_bytes_s", "run_storage_read_bytes_s", "run_storage_write_bytes_s"}
DATA_DISK = {"data_disk_read_bytes_s", "data_disk_write_bytes_s"}
RATES |= RUN | DATA_DISK


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def child() -> Iterator[subprocess.Popen[str]]:
    """A child process that answers a line after having worked for a while, and then waits."""
    script = "import time\nwhile time.process_time() < 0.1: pass\nprint('worked', flush=True)\ninput()"
    process = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    yield process
    process.kill()
    process.communicate()


def test_this_machine_is_read() -> None:
    sample = HostReader().read()
    for name in ("rss_bytes", "cores", "load_1m", "memory_total_bytes", "memory_available_bytes"):
        assert getattr(sample, name) is not None, name
    assert sample.rss_bytes is not None
    assert sample.memory_total_bytes is not None
    assert 0 < sample.rss_bytes < sample.memory_total_bytes


def test_nothing_is_a_rate_before_the_second_reading() -> None:
    sample = HostReader().read()
    assert {name for name in RATES if getattr(sample, name) is not None} <= {"workers_cpu_percent"}


REFUSED: list[tuple[str, set[str]]] = [
    ("psutil.virtual_memory", {"memory_total_bytes", "memory_available_bytes"}),
    ("psutil.swap_memory", {"swap_used_bytes"}),
    ("psutil.disk_io_counters", {"disk_read_bytes_s", "disk_write_bytes_s"}),
    ("psutil.net_io_counters", {"network_bytes_s"}),
    ("psutil.cpu_times", {"machine_cpu_percent"}),
    ("os.getloadavg", {"load_1m"}),
    ("os.sched_getaffinity", {"cores"}),
    ("psutil.Process.io_counters", RUN),
    ("bsmon.telemetry.host.transferred_bytes", DATA_DISK),
    ("bsmon.telemetry.host.find_storage", DATA_DISK),
    ("psutil.Process.oneshot", {"rss_bytes", "cpu_percent"}),
]


@pytest.mark.parametrize(("function", "cells"), REFUSED)
@pytest.mark.parametrize("error", [psutil.AccessDenied(1), OSError(5, "I/O"), NotImplementedError(), KeyError("idle")])
def test_what_the_system_refuses_is_unknown_and_only_that(
    monkeypatch: pytest.MonkeyPatch, function: str, cells: set[str], error: Exception
) -> None:
    def refuse(*_args: object, **_kwargs: object) -> object:
        raise error

    monkeypatch.setattr(cgroup, "memory_limit", lambda: None)
    clock = Clock()
    reader = HostReader(clock)
    reader.set_data_paths([__file__])
    monkeypatch.setattr(function, refuse)
    reader.read()
    clock.now = 1.0
    sample = reader.read()
    assert all(getattr(sample, cell) is None for cell in cells)
    others = {field.name for field in fields(HostSample)} - cells - RATES - {"workers"}
    assert all(getattr(sample, name) is not None for name in others)


@pytest.mark.parametrize(
    ("limit", "total", "available"),
    [
        (None, 512, 300),
        (CgroupMemory(16, 4), 16, 4),
        (CgroupMemory(400, 350), 400, 300),
        (CgroupMemory(1024, 1000), 512, 300),
    ],
)
def test_the_containers_limit_is_respected(
    monkeypatch: pytest.MonkeyPatch, limit: CgroupMemory | None, total: int, available: int
) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(total=512, available=300))
    monkeypatch.setattr(cgroup, "memory_limit", lambda: limit)
    sample = HostReader().read()
    assert (sample.memory_total_bytes, sample.memory_available_bytes) == (total, available)


def counters(*values: dict[str, int]) -> Callable[..., dict[str, SimpleNamespace]]:
    left = iter(values)
    return lambda **_options: {
        name: SimpleNamespace(bytes_recv=received, bytes_sent=1) for name, received in next(left).items()
    }


@pytest.mark.parametrize(("hardware", "rate"), [(["eth0"], 50.0), ([], 50.0 + 500.0)])
def test_bridges_and_the_loopback_do_not_count_twice(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, hardware: list[str], rate: float
) -> None:
    for name in hardware:
        (tmp_path / name / "device").mkdir(parents=True)
    readings = counters({"lo": 0, "eth0": 0, "docker0": 0}, {"lo": 9999, "eth0": 100, "docker0": 1000})
    monkeypatch.setattr(host, "_NETWORK", tmp_path)
    monkeypatch.setattr(psutil, "net_io_counters", readings)
    clock = Clock()
    reader = HostReader(clock)
    reader.read()
    clock.now = 2.0
    assert reader.read().network_bytes_s == rate


@pytest.mark.parametrize(("busy", "percent"), [(0.0, 0.0), (1.0, 25.0), (4.0, 100.0)])
def test_the_machines_share_of_busy_time(monkeypatch: pytest.MonkeyPatch, busy: float, percent: float) -> None:
    def times(user: float, guest: float) -> SimpleNamespace:
        values = {"user": user, "idle": 100 + 4 - (user - 50), "iowait": 0.0, "guest": guest}
        return SimpleNamespace(_asdict=lambda: values)

    first = SimpleNamespace(_asdict=lambda: {"user": 50.0, "idle": 100.0, "iowait": 0.0, "guest": 0.0})
    readings = iter([first, times(50.0 + busy, 0.0)])
    monkeypatch.setattr(psutil, "cpu_times", lambda: next(readings))
    reader = HostReader()
    reader.read()
    assert reader.read().machine_cpu_percent == pytest.approx(percent)


def test_children_are_counted_and_the_excluded_are_not(child: subprocess.Popen[str]) -> None:
    tree = ProcessTree()
    both = tree.read()
    alone = tree.read(exclude=frozenset({child.pid}))
    assert both.children is not None
    assert both.children == (alone.children or 0) + 1


def test_a_childs_processor_time_is_its_own(child: subprocess.Popen[str]) -> None:
    clock = Clock()
    tree = ProcessTree(clock)
    tree.read()
    assert child.stdout is not None
    assert child.stdout.readline() == "worked\n"
    clock.now = 1.0
    usage = tree.read()
    assert usage.children_cpu_percent is not None
    assert 0 < usage.children_cpu_percent < 100


def test_the_kernels_lists_of_children_are_followed_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = psutil.Process().pid
    for thread, children in {f"{own}/task/{own}": "11 12 ", f"{own}/task/77": "13", "11/task/11": "14"}.items():
        (tmp_path / thread).mkdir(parents=True)
        (tmp_path / thread / "children").write_text(children)
    found: list[int] = []
    real = psutil.Process

    def process(pid: int | None = None) -> psutil.Process:
        if pid is None:
            return real()
        found.append(pid)
        raise psutil.NoSuchProcess(pid)

    monkeypatch.setattr(psutil, "Process", process)
    ProcessTree(proc=tmp_path).read(exclude=frozenset({12}))
    assert sorted(found) == [11, 13, 14]


def test_what_the_run_and_the_disk_of_its_data_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    stat = tmp_path / "stat"
    stat.write_text("1 0 1000 0 1 0 500 0 0 0 0")
    monkeypatch.setattr(host, "find_storage", lambda _paths: DataStorage("sda1 (ext4)", (stat,)))
    clock = Clock()
    reader = HostReader(clock)
    reader.set_data_paths([str(tmp_path)])
    reader.read()
    stat.write_text("1 0 1040 0 1 0 500 0 0 0 0")
    with Path("/dev/zero").open("rb") as zeros:
        assert len(zeros.read(1 << 20)) == 1 << 20
    clock.now = 2.0
    sample = reader.read()
    assert sample.data_storage == "sda1 (ext4)"
    assert (sample.data_disk_read_bytes_s, sample.data_disk_write_bytes_s) == (40 * 512 / 2, 0.0)
    assert sample.run_read_bytes_s is not None
    assert sample.run_read_bytes_s >= (1 << 20) / 2


def test_a_child_that_ends_leaves_its_reading_with_the_run(child: subprocess.Popen[str]) -> None:
    tree = ProcessTree()
    before = tree.read().traffic
    child.communicate("end")
    after = tree.read().traffic
    assert before is not None
    assert after is not None
    assert before.read <= after.read < 2 * before.read


def test_an_excluded_child_that_ends_is_not_taken_for_the_runs_reading(child: subprocess.Popen[str]) -> None:
    tree = ProcessTree()
    assert tree.read(exclude=frozenset({child.pid})).traffic is not None
    child.communicate("end")
    assert tree.read().traffic is None
    assert tree.read().traffic is not None
