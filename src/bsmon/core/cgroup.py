"""What the container (or systemd unit) allows this process: memory and processor time, cgroup versions 1 and 2.

psutil reports the host: in a container of 16 GiB on a host of 512 GiB its "available" is a trap. The forecasts of the
engine and the numbers of the telemetry both ask here, so that they agree.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path

_UNLIMITED = 1 << 60
"""Version 1 writes "no limit" as nearly 2^63 bytes; no machine has this much."""


@dataclass(frozen=True, slots=True)
class CgroupMemory:
    """The tightest limit above this process, in bytes, and what is left of it."""

    limit_bytes: int
    available_bytes: int


@dataclass(frozen=True, slots=True)
class _Mount:
    root: str  # the cgroup that is mounted here
    point: Path
    version: int


def memory_limit(proc: Path = Path("/proc")) -> CgroupMemory | None:
    """The limit that bites first, this process's cgroup and all above it considered; None where there is none."""
    found = [limit for folder, version in _folders("memory", proc) if (limit := _limit(folder, version)) is not None]
    if not found:
        return None
    return CgroupMemory(min(each.limit_bytes for each in found), min(each.available_bytes for each in found))


def cpu_quota(proc: Path = Path("/proc")) -> float | None:
    """Cores' worth of processor time that this process may use; None where nothing limits it."""
    quotas = [quota for folder, version in _folders("cpu", proc) if (quota := _quota(folder, version)) is not None]
    return min(quotas, default=None)


def usable_cores() -> int:
    """Cores that this process may run on: the affinity mask, or the container's quota where that is less."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cpu_quota()
    return cores if quota is None else max(min(cores, math.ceil(quota)), 1)


def describe(proc: Path = Path("/proc")) -> str:
    """The limits in a sentence, for `bsmon doctor`; "" where there are none."""
    memory, cores = memory_limit(proc), cpu_quota(proc)
    parts = [f"memory limit {memory.limit_bytes / 2**30:.1f} GiB"] if memory else []
    parts += [f"{math.floor(cores * 10) / 10} cores"] if cores else []
    return ", ".join(parts)


def _folders(controller: str, proc: Path) -> list[tuple[Path, int]]:
    """The controller's folder of this process's cgroup and of each one above it that this process can see."""
    mounts = _mounts(controller, proc)
    if not mounts:
        return []
    paths = _own_paths(controller, proc)
    return [
        (folder, mount.version)
        for mount in mounts
        if mount.version in paths
        for folder in _upwards(mount, paths[mount.version])
    ]


def _mounts(controller: str, proc: Path) -> list[_Mount]:
    mounts = []
    for line in _lines(proc / "self" / "mountinfo"):
        before, _, after = line.partition(" - ")
        fields, kind = before.split(), after.split()
        if len(fields) < 5 or not kind:
            continue
        if kind[0] == "cgroup2":
            mounts.append(_Mount(fields[3], Path(fields[4]), 2))
        elif kind[0] == "cgroup" and controller in kind[-1].split(","):
            mounts.append(_Mount(fields[3], Path(fields[4]), 1))
    return mounts


def _own_paths(controller: str, proc: Path) -> dict[int, str]:
    """This process's cgroup by version: lines are "4:cpu,cpuacct:/path", and "0::/path" for version 2."""
    paths = {}
    for line in _lines(proc / "self" / "cgroup"):
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" and not controllers:
            paths[2] = path
        elif controller in controllers.split(","):
            paths[1] = path
    return paths


def _upwards(mount: _Mount, path: str) -> list[Path]:
    """From this process's folder up to the mount. A container sees its own cgroup as the mount, by another path."""
    inside = Path(path.removeprefix(mount.root if mount.root != "/" else "").lstrip("/"))
    if ".." in inside.parts:
        return [mount.point]
    return [mount.point / folder for folder in (inside, *inside.parents)]


def _limit(folder: Path, version: int) -> CgroupMemory | None:
    limit = _number(folder / ("memory.max" if version == 2 else "memory.limit_in_bytes"))
    if limit is None or limit >= _UNLIMITED:
        return None
    used = _number(folder / ("memory.current" if version == 2 else "memory.usage_in_bytes")) or 0
    reclaimable = _statistic(folder / "memory.stat", "inactive_file" if version == 2 else "total_inactive_file")
    return CgroupMemory(limit, max(limit - max(used - reclaimable, 0), 0))


def _quota(folder: Path, version: int) -> float | None:
    if version == 2:
        words = (_lines(folder / "cpu.max") or [""])[0].split()
        quota, period = (words[0], words[1]) if len(words) == 2 else ("max", "0")
        return int(quota) / int(period) if quota.isdigit() and int(period) else None
    allowed, period_us = _number(folder / "cpu.cfs_quota_us"), _number(folder / "cpu.cfs_period_us")
    return allowed / period_us if allowed and allowed > 0 and period_us else None


def _statistic(path: Path, name: str) -> int:
    for line in _lines(path):
        key, _, value = line.partition(" ")
        if key == name and value.isdigit():
            return int(value)
    return 0


def _number(path: Path) -> int | None:
    text = (_lines(path) or [""])[0]
    return int(text) if text.lstrip("-").isdigit() else None


def _lines(path: Path) -> list[str]:
    """The file's lines; none where it is missing or may not be read, which is the normal case for most of them."""
    try:
        return path.read_text(errors="replace").splitlines()
    except OSError:
        return []
