"""The stand-in for NVIDIA's library: compile it, steer it, and find every fault that it can play."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "fake_nvml.c"

GLOBAL_FUNCTIONS = ("nvmlInit", "nvmlSystemGetDriverVersion", "nvmlSystemGetProcessName", "nvmlDeviceGetCount")
DEVICE_FUNCTIONS = (
    "nvmlDeviceGetHandleByIndex",
    "nvmlDeviceGetName",
    "nvmlDeviceGetUUID",
    "nvmlDeviceGetMemoryInfo",
    "nvmlDeviceGetUtilizationRates",
    "nvmlDeviceGetTemperature",
    "nvmlDeviceGetPowerUsage",
    "nvmlDeviceGetEnforcedPowerLimit",
    "nvmlDeviceGetClockInfo",
    "nvmlDeviceGetCurrentClocksEventReasons",
    "nvmlDeviceGetPcieThroughput",
    "nvmlDeviceGetMigMode",
    "nvmlDeviceGetMaxMigDeviceCount",
    "nvmlDeviceGetMigDeviceHandleByIndex",
    "nvmlDeviceGetComputeRunningProcesses",
)
"""With the global ones every call that bsmon makes (but nvmlShutdown), by the name under which the stub fails it."""

ERROR_CODES = (*range(1, 31), 999)
"""Every nvmlReturn_t but success."""


def uuid_of(gpu: int) -> str:
    """The UUID that the stub gives a GPU."""
    return f"GPU-{gpu:08x}-0000-0000-0000-00000000fa6e"


def slice_uuid(gpu: int, index: int) -> str:
    """The UUID that the stub gives a MIG slice."""
    return f"MIG-{gpu:08x}-0000-0000-{index:04x}-00000000fa6e"


def compiler() -> str | None:
    """The C compiler of this machine."""
    return shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")


def build(folder: Path, *, old_driver: bool = False) -> Path:
    """Compile the stub into the folder as libnvidia-ml.so.1. Raises CalledProcessError, RuntimeError."""
    command = compiler()
    if command is None:
        raise RuntimeError("no C compiler here")
    folder.mkdir(parents=True, exist_ok=True)
    flags = ["-shared", "-fPIC", "-O1", "-Wall", "-Werror", *(["-DOLD_DRIVER"] if old_driver else [])]
    subprocess.run([command, *flags, "-o", str(folder / "libnvidia-ml.so.1"), str(SOURCE)], check=True)
    return folder


class Control:
    """The file that tells the stub what to answer; it is read anew at every call."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.set({})

    def set(self, settings: Mapping[str, object]) -> None:
        """Replace all settings at once, so that no call sees half of them."""
        fresh = self.path.with_suffix(".new")
        fresh.write_text(_lines(settings))
        fresh.replace(self.path)

    def environment(self, library: Path) -> dict[str, str]:
        """What a process needs in its environment to load the stub instead of a real driver."""
        return {**os.environ, "LD_LIBRARY_PATH": str(library), "FAKE_NVML": str(self.path)}


class DirectControl:
    """Steers the stub that this process itself has loaded, without a file: for very many calls."""

    def __init__(self) -> None:
        self._set = ctypes.CDLL("libnvidia-ml.so.1").fake_nvml_settings

    def set(self, settings: Mapping[str, object]) -> None:
        """Replace all settings."""
        self._set(_lines(settings).encode())


def _lines(settings: Mapping[str, object]) -> str:
    return "".join(f"{key}={value}\n" for key, value in settings.items())
