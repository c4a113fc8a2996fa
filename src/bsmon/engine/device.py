"""Where the run computes: device, precision, threads."""

from __future__ import annotations

import contextlib
import platform
from pathlib import Path

import torch

from bsmon.config.schema import Config, Run
from bsmon.core.cgroup import usable_cores
from bsmon.core.errors import BadInput

_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def choose_device(run: Run, rank: int = 0) -> torch.device:
    """The device that `[run] device` names, "auto" a GPU where there is one. A GPU becomes current on this thread.

    With several ranks each has a CUDA device of its own, or all are on the CPU. Raises BadInput when the device is not
    there, saying which are.
    """
    device = _named(run.device)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        count = torch.cuda.device_count()
        there = ", ".join(["cpu", *(f"cuda:{index}" for index in range(count))])
        raise BadInput(
            f'run.device = "{run.device}": torch {torch.__version__} sees {count} CUDA devices; there is: {there}'
        )
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise BadInput('run.device = "mps": torch sees no Apple GPU here; use "cpu" or "auto"')
    if run.world_size > 1:
        device = _of_rank(run.world_size, device.type, rank)
    if device.type == "cuda":
        # Events are recorded on the current GPU: on another one's stream they would pass before this one's copies do.
        torch.cuda.set_device(device)
    return device


def _of_rank(world_size: int, kind: str, rank: int) -> torch.device:
    if kind not in ("cuda", "cpu"):
        raise BadInput(
            f'run.world_size = {world_size}: several ranks need CUDA devices or the CPU; set run.device = "cpu"'
        )
    count = torch.cuda.device_count()
    if kind == "cuda" and world_size > count:
        raise BadInput(
            f"run.world_size = {world_size}: every rank needs a GPU of its own, and torch sees {count}; "
            f'use at most {count}, or run.device = "cpu"'
        )
    return torch.device(kind, rank) if kind == "cuda" else torch.device(kind)


def _named(wanted: str) -> torch.device:
    if wanted == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda:0")
        return torch.device("mps") if torch.backends.mps.is_available() else torch.device("cpu")
    return torch.device(wanted if wanted != "cuda" else "cuda:0")


def device_name(device: torch.device) -> str:
    """The hardware's own name."""
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def set_threads(config: Config, device: torch.device) -> int:
    """Set torch's CPU threads as the config says, and return how many.

    "auto" on a CPU leaves one core to the screen and everything else: torch on all cores beside any busy process is
    the worst slowdown there is, 20 to 200 times, because its threads wait for each other by spinning. Ranks on the CPU
    share what is left.
    """
    if config.run.threads == "auto" and device.type != "cpu":
        return torch.get_num_threads()
    threads = config.run.threads if isinstance(config.run.threads, int) else _fair_share(config.run.world_size)
    torch.set_num_threads(threads)
    return threads


def _fair_share(world_size: int) -> int:
    return max(1, (usable_cores() - 1) // world_size)


def autocast(device: torch.device, precision: str) -> contextlib.AbstractContextManager[object]:
    """The context that forward passes run in."""
    if precision == "fp32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, _DTYPES[precision])
