"""Which disk lies behind the data, on made-up /proc and /sys trees."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from bsmon.telemetry.data_storage import DataStorage, find_storage, transferred_bytes

STAT = "100 0 {read} 5 200 0 {written} 9 0 0 0\n"


@dataclass
class Machine:
    """A machine whose files lie under `root`; `mounts` are lines of its /proc/self/mountinfo."""

    root: Path

    def mounts(self, *lines: str) -> None:
        path = self.root / "proc" / "self" / "mountinfo"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{line.replace('ROOT', str(self.root))}\n" for line in lines))

    def disk(self, number: str, name: str, read: int = 0, written: int = 0) -> Path:
        folder = self.root / "sys" / "devices" / name
        folder.mkdir(parents=True)
        (folder / "stat").write_text(STAT.format(read=read, written=written))
        link = self.root / "sys" / "dev" / "block" / number
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(folder)
        return folder

    def find(self, path: str = "data/train.npz") -> DataStorage:
        return find_storage([str(self.root / path)], self.root / "proc", self.root / "sys")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


SYSTEM = "22 1 8:2 / / rw,relatime shared:1 - ext4 /dev/sda2 rw"


def test_the_disk_of_the_longest_mount_point(machine: Machine) -> None:
    machine.mounts(SYSTEM, "30 22 259:3 / ROOT/data rw - xfs /dev/nvme0n1p3 rw", "31 22 8:9 / ROOT/dat rw - ext4 x rw")
    machine.disk("8:2", "sda2")
    machine.disk("259:3", "nvme0n1p3", read=2000, written=10)
    storage = machine.find()
    assert storage.name == "nvme0n1p3 (xfs)"
    assert transferred_bytes(storage) == (2000 * 512, 10 * 512)


def test_of_two_mounts_at_one_place_the_later_one_counts(machine: Machine) -> None:
    machine.mounts("30 22 8:1 / ROOT/data rw - ext4 /dev/sda1 rw", "31 30 8:5 / ROOT/data rw - ext4 /dev/sdb1 rw")
    machine.disk("8:1", "sda1")
    machine.disk("8:5", "sdb1")
    assert machine.find().name == "sdb1 (ext4)"


def test_a_link_is_followed_to_where_the_data_are(machine: Machine) -> None:
    machine.mounts(SYSTEM, "30 22 8:17 / ROOT/big rw - ext4 /dev/sdb1 rw")
    machine.disk("8:17", "sdb1")
    (machine.root / "big").mkdir()
    (machine.root / "data").symlink_to(machine.root / "big")
    assert machine.find().name == "sdb1 (ext4)"


def test_a_mount_point_with_blanks(machine: Machine) -> None:
    machine.mounts(SYSTEM, r"30 22 8:17 / ROOT/my\040data rw - ext4 /dev/sdb1 rw")
    machine.disk("8:17", "sdb1")
    assert machine.find("my data/x").name == "sdb1 (ext4)"


def test_a_logical_volume_has_its_own_name(machine: Machine) -> None:
    machine.mounts("30 22 253:0 / ROOT/data rw - xfs /dev/mapper/vg-data rw")
    folder = machine.disk("253:0", "dm-0", read=8)
    (folder / "dm").mkdir()
    (folder / "dm" / "name").write_text("vg-data\n")
    storage = machine.find()
    assert storage.name == "vg-data (xfs)"
    assert transferred_bytes(storage) == (8 * 512, 0)


def test_a_btrfs_counts_all_of_its_disks(machine: Machine) -> None:
    machine.mounts("30 22 8:1 / ROOT/data rw - btrfs /dev/sda1 rw")
    members = machine.root / "sys" / "fs" / "btrfs" / "c0ffee" / "devices"
    members.mkdir(parents=True)
    for number, name in (("8:1", "sda1"), ("8:17", "sdb1")):
        (members / name).symlink_to(machine.disk(number, name, read=100))
    assert transferred_bytes(machine.find()) == (2 * 100 * 512, 0)


@pytest.mark.parametrize(
    ("mount", "name"),
    [
        ("0:45 / ROOT/data rw - nfs4 filer:/export/sets rw", "filer:/export/sets (nfs4, over the network)"),
        ("0:45 / ROOT/data rw - fuse.sshfs me@far:/sets rw", "me@far:/sets (fuse.sshfs, over the network)"),
        ("0:45 / ROOT/data rw - tmpfs tmpfs rw", "tmpfs (in memory)"),
        ("0:45 / ROOT/data rw - overlay overlay rw,upperdir=/x", "overlay"),
        ("0:45 / ROOT/data rw - zfs tank/sets rw", "zfs"),
        ("0:45 / ROOT/data rw - btrfs /dev/not-there rw", "btrfs"),
    ],
)
def test_without_a_disk_that_can_be_told_there_is_a_name_and_no_rate(machine: Machine, mount: str, name: str) -> None:
    machine.mounts(SYSTEM, f"30 22 {mount}")
    machine.disk("8:2", "sda2")
    storage = machine.find()
    assert storage == DataStorage(name)
    with pytest.raises(LookupError):
        transferred_bytes(storage)


def test_a_container_that_hides_the_disks_still_gives_the_file_systems_name(machine: Machine) -> None:
    machine.mounts("30 22 259:3 / ROOT/data rw - xfs /dev/nvme0n1p3 rw")
    assert machine.find() == DataStorage("xfs")


def test_nothing_is_known_without_paths_or_mounts(machine: Machine) -> None:
    assert find_storage([], machine.root) == DataStorage()
    machine.mounts("broken line", "30 22 8:1 / /elsewhere rw - ext4 /dev/sda1 rw")
    assert machine.find() == DataStorage()


def test_this_machine_is_understood() -> None:
    assert find_storage([__file__]).name
