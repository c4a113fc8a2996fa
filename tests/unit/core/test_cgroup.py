"""Container limits, on made-up /proc and /sys trees."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from bsmon.core.cgroup import CgroupMemory, cpu_quota, describe, memory_limit, usable_cores

GIB = 1 << 30


def tree(root: Path, *, mounts: str, own: str, files: Mapping[str, str]) -> Path:
    """A /proc whose mount points are folders under `root`."""
    proc = root / "proc"
    for name, content in {"proc/self/mountinfo": mounts, "proc/self/cgroup": own, **files}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content.replace("ROOT", str(root)))
    return proc


def v2(root: Path, files: Mapping[str, str], own: str = "0::/\n", mounted: str = "/") -> Path:
    mounts = f"30 23 0:26 {mounted} ROOT/cg rw,nosuid - cgroup2 cgroup2 rw\n29 23 0:2 / / rw - ext4 /dev/sda rw\n"
    return tree(root, mounts=mounts, own=own, files={f"cg/{name}": text for name, text in files.items()})


def v1(root: Path, files: Mapping[str, str], own: str, mounted: str = "/") -> Path:
    mounts = (
        f"35 31 0:32 {mounted} ROOT/memory rw - cgroup cgroup rw,memory\n"
        f"36 31 0:33 {mounted} ROOT/cpu rw shared:1 - cgroup cgroup rw,cpu,cpuacct\n"
    )
    return tree(root, mounts=mounts, own=own, files=files)


def test_version_2_in_a_container(tmp_path: Path) -> None:
    files = {
        "memory.max": f"{16 * GIB}\n",
        "memory.current": f"{6 * GIB}\n",
        "memory.stat": f"anon 1\ninactive_file {2 * GIB}\n",
        "cpu.max": "250000 100000\n",
    }
    proc = v2(tmp_path, files)
    assert memory_limit(proc) == CgroupMemory(16 * GIB, 12 * GIB)
    assert cpu_quota(proc) == 2.5
    assert describe(proc) == "memory limit 16.0 GiB, 2.5 cores"


def test_version_2_takes_the_tightest_of_all_levels(tmp_path: Path) -> None:
    files = {
        "memory.max": "max\n",
        "user.slice/memory.max": f"{8 * GIB}\n",
        "user.slice/memory.current": f"{7 * GIB}\n",
        "user.slice/job/memory.max": f"{4 * GIB}\n",
        "user.slice/job/memory.current": f"{1 * GIB}\n",
    }
    assert memory_limit(v2(tmp_path, files, "0::/user.slice/job\n")) == CgroupMemory(4 * GIB, 1 * GIB)


def test_version_1_with_the_hosts_path_in_a_container(tmp_path: Path) -> None:
    files = {
        "memory/memory.limit_in_bytes": f"{2 * GIB}\n",
        "memory/memory.usage_in_bytes": f"{GIB}\n",
        "memory/memory.stat": f"inactive_file 5\ntotal_inactive_file {GIB // 2}\n",
        "cpu/cpu.cfs_quota_us": "50000\n",
        "cpu/cpu.cfs_period_us": "100000\n",
    }
    own = "4:memory:/docker/abc\n1:cpu,cpuacct:/docker/abc\n"
    proc = v1(tmp_path, files, own, mounted="/docker/abc")
    assert memory_limit(proc) == CgroupMemory(2 * GIB, GIB + GIB // 2)
    assert cpu_quota(proc) == 0.5


def test_version_1_without_limits(tmp_path: Path) -> None:
    files = {
        "memory/a/memory.limit_in_bytes": "9223372036854771712\n",
        "cpu/a/cpu.cfs_quota_us": "-1\n",
        "cpu/a/cpu.cfs_period_us": "100000\n",
    }
    proc = v1(tmp_path, files, "4:memory:/a\n1:cpu,cpuacct:/a\n")
    assert (memory_limit(proc), cpu_quota(proc), describe(proc)) == (None, None, "")


def test_more_in_use_than_the_limit_leaves_nothing(tmp_path: Path) -> None:
    proc = v2(tmp_path, {"memory.max": "100\n", "memory.current": "130\n"})
    assert memory_limit(proc) == CgroupMemory(100, 0)


def test_a_cgroup_outside_of_what_is_mounted(tmp_path: Path) -> None:
    proc = v2(tmp_path, {"memory.max": "100\n", "memory.current": "30\n"}, "0::/../other\n")
    assert memory_limit(proc) == CgroupMemory(100, 70)


@pytest.mark.parametrize("content", ["", "max\n", "lots\n", "-5x\n"])
def test_unreadable_limits_are_none(tmp_path: Path, content: str) -> None:
    proc = v2(tmp_path, {"memory.max": content, "cpu.max": content})
    assert (memory_limit(proc), cpu_quota(proc)) == (None, None)


@pytest.mark.parametrize("mounts", ["", "nonsense\n", "1 2 3 / - cgroup2\n", "1 2 3 / /x rw -\n"])
def test_a_machine_without_cgroups(tmp_path: Path, mounts: str) -> None:
    assert memory_limit(tree(tmp_path, mounts=mounts, own="0::/\n:\n", files={})) is None
    assert memory_limit(tmp_path / "no-proc") is None


@pytest.mark.parametrize(("quota", "cores"), [(None, 8), (2.5, 3), (0.1, 1), (64.0, 8)])
def test_the_containers_quota_limits_the_cores(
    monkeypatch: pytest.MonkeyPatch, quota: float | None, cores: int
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _pid: set(range(8)))
    monkeypatch.setattr("bsmon.core.cgroup.cpu_quota", lambda: quota)
    assert usable_cores() == cores
