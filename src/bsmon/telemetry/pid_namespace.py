"""Whether process ids here are those of the machine: NVML lists the machine's, and a container counts its own."""

from __future__ import annotations

import os

_FIRST_NAMESPACE = 0xEFFFFFFC
"""PROC_PID_INIT_INO of the Linux kernel: the inode of the first process id namespace."""


def pids_are_the_machines() -> bool:
    """False in a container with process ids of its own, and where the system does not tell."""
    try:
        return os.stat("/proc/self/ns/pid").st_ino == _FIRST_NAMESPACE  # noqa: PTH116 - once a sample
    except OSError:
        return False
