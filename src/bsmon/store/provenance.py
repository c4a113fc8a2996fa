"""Which program, machine and process made a run, and whether that process still lives."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import bsmon

_GIT_PATIENCE_S = 2.0  # a home directory on a network may hang; the commit is not worth more


def about_this_process() -> dict[str, object]:
    """Gather what run.json says of the program and the process. Values are plain; unknown is None."""
    return {
        "bsmon": bsmon.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "host": platform.node(),
        "argv": list(sys.argv),
        "working_directory": str(Path.cwd()),
        "git_commit": git_commit(Path.cwd()),
        "process": process_identity(os.getpid()),
    }


def git_commit(folder: Path) -> str | None:
    """Return the commit checked out in `folder`; None without git, outside a repository or when git is slow."""
    try:
        done = subprocess.run(
            ["git", "rev-parse", "--verify", "HEAD"],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_GIT_PATIENCE_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode("ascii", "replace").strip() or None


def process_identity(pid: int) -> dict[str, object] | None:
    """Return what tells this process from every other, before and after: pid, start and boot. None when it is gone.

    A pid alone is taken again by later processes; the start is in clock ticks since the machine's boot.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        # The name, in brackets, may itself hold spaces and brackets; the start is the 20th field after it.
        after_name = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    if after_name[0] == "Z":  # it has ended and nobody has asked for its exit status yet
        return None
    return {"pid": pid, "start_ticks": int(after_name[19]), "boot_id": boot}


def is_running(record: Mapping[str, object]) -> bool | None:
    """Whether the process of a run.json lives; None when that cannot be seen from here (another machine)."""
    identity = record.get("process")
    if not isinstance(identity, dict) or not isinstance(pid := identity.get("pid"), int):
        return None
    here = process_identity(os.getpid())
    if here is None or record.get("host") != platform.node():
        return None
    if identity.get("boot_id") != here["boot_id"]:
        return False  # this machine has been started anew since
    return process_identity(pid) == identity
