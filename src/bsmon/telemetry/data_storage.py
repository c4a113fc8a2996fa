"""Where the training data lie: the file system behind a path, and the counters of the disk behind that.

Read from the kernel's own tables, so that a file server that does not answer any more is never asked.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_SECTOR_BYTES = 512  # the unit of the kernel's disk counters, whatever the disk's own sectors are
_READ_SECTORS, _WRITTEN_SECTORS = 2, 6  # fields of /sys/block/*/stat (Documentation/block/stat.rst)
_ON_NETWORK = (
    *("afs", "beegfs", "ceph", "cifs", "glusterfs", "gpfs", "lustre", "nfs", "nfs4", "smb3", "smbfs", "wekafs"),
    *(f"fuse.{name}" for name in ("ceph-fuse", "gcsfuse", "glusterfs", "juicefs", "rclone", "s3fs", "sshfs")),
)
_IN_MEMORY = ("tmpfs", "ramfs")
_ESCAPED = re.compile(r"\\([0-7]{3})")  # mountinfo writes blanks and backslashes so


@dataclass(frozen=True, slots=True)
class DataStorage:
    """A file system. `name`: "vda (ext4)", or what else it is; "" where the system does not tell.

    `counters`: the counter files of the disks behind it; none where there is no disk, or no telling which.
    """

    name: str = ""
    counters: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class _Mount:
    device: str  # "8:1"; "0:45" where there is no one disk behind it
    point: str
    kind: str  # "ext4"
    source: str  # "/dev/sda1", "server:/export"


def find_storage(paths: Sequence[str], proc: Path = Path("/proc"), sys: Path = Path("/sys")) -> DataStorage:
    """What the first of the paths lies on. Raises OSError where the system has no table of mounts (macOS, say)."""
    if not paths:
        return DataStorage()
    real = os.path.realpath(paths[0])
    mounts = [mount for mount in _mounts(proc) if Path(real).is_relative_to(mount.point)]
    if not mounts:
        return DataStorage()
    # The longest, and of equals the last: it lies over the others.
    mount = max(enumerate(mounts), key=lambda pair: (len(pair[1].point), pair[0]))[1]
    disk = sys / "dev" / "block" / _disk_of(mount)
    counters = tuple(path for path in _counters(disk, sys) if path.exists())
    if counters:
        return DataStorage(f"{_disk_name(disk)} ({mount.kind})", counters)
    if mount.kind in _ON_NETWORK:
        return DataStorage(f"{mount.source} ({mount.kind}, over the network)")
    return DataStorage(f"{mount.kind} (in memory)" if mount.kind in _IN_MEMORY else mount.kind)


def transferred_bytes(storage: DataStorage) -> tuple[int, int]:
    """Bytes read from and written to its disks since the machine started, by everybody.

    Raises LookupError where there are no counters, OSError or ValueError where they cannot be read.
    """
    if not storage.counters:
        raise LookupError("no disk is known behind these data")
    fields = [path.read_text().split() for path in storage.counters]
    read, written = (sum(int(each[at]) for each in fields) for at in (_READ_SECTORS, _WRITTEN_SECTORS))
    return read * _SECTOR_BYTES, written * _SECTOR_BYTES


def _mounts(proc: Path) -> list[_Mount]:
    """The table of mounts, in their order; see proc_pid_mountinfo(5)."""
    found = []
    for line in (proc / "self" / "mountinfo").read_text(errors="replace").splitlines():
        before, _, after = line.partition(" - ")
        left, right = before.split(), after.split()
        if len(left) >= 5 and len(right) >= 2:
            found.append(_Mount(left[2], _plain(left[4]), _plain(right[0]), _plain(right[1])))
    return found


def _plain(field: str) -> str:
    return _ESCAPED.sub(lambda match: chr(int(match[1], 8)), field)


def _disk_of(mount: _Mount) -> str:
    """The disk's number. btrfs shows a number of its own, but names the disk that it was mounted by."""
    if not mount.device.startswith("0:") or not mount.source.startswith("/dev/"):
        return mount.device
    try:
        found = os.stat(mount.source)  # noqa: PTH116 - one call, no Path made for it
    except OSError:
        return mount.device
    return f"{os.major(found.st_rdev)}:{os.minor(found.st_rdev)}" if stat.S_ISBLK(found.st_mode) else mount.device


def _counters(disk: Path, sys: Path) -> list[Path]:
    """The counters of the disk, or of all disks of its btrfs."""
    name = disk.resolve().name
    members = next((folder.parent for folder in sys.glob(f"fs/btrfs/*/devices/{name}")), None)
    if members is None:
        return [disk / "stat"]
    return [member / "stat" for member in sorted(members.iterdir())]


def _disk_name(disk: Path) -> str:
    """ "nvme0n1p2"; for a logical volume its own name instead of "dm-0"."""
    try:
        return (disk / "dm" / "name").read_text(errors="replace").strip()
    except OSError:
        return disk.resolve().name
