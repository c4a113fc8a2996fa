"""The real program as a process: started, watched line by line, ended by signals, resumed."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from bsmon.engine.checkpoint import CheckpointStore, Loaded

ROOT = Path(__file__).resolve().parents[3]
RUN = "the-run"
_SAVED = re.compile(r"checkpoint of step ([0-9,]+) saved")

CONFIG = """
[data]
task = "digits"
[model]
name = "mlp"
hidden = [8]
norm = "batch"
dropout = 0.2
[optimizer]
name = "AdamW"
[run]
max_steps = {steps}
device = "cpu"
threads = 1
seed = 7
[batch]
size = 32
micro_batch_size = 32
[train]
eval_every = "never"
[advisor]
mode = "off"
[telemetry]
noise_scale = false
[checkpoint]
every_steps = {every}
"""


def start(folder: Path, *arguments: str, steps: int = 10**9, every: int = 20) -> subprocess.Popen[str]:
    """Begin to train headless in `folder`, as JSON lines; with `--resume` among the arguments, go on there."""
    config = folder / "config.toml"
    config.write_text(CONFIG.format(steps=steps, every=every), encoding="utf-8")
    where = [] if "--resume" in arguments else ["--run-dir", str(folder / RUN)]
    return subprocess.Popen(
        [sys.executable, "-m", "bsmon", "train", str(config), "--json", "--interval", "0.1", *where, *arguments],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT / "src")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def lines(process: subprocess.Popen[str]) -> Iterator[dict[str, Any]]:
    """What it says, as it comes."""
    assert process.stdout is not None
    for line in process.stdout:
        yield json.loads(line)


def until_saved(process: subprocess.Popen[str], after: int = 0) -> int:
    """Read until a checkpoint of a later step than `after` is reported; returns its step."""
    said = []
    for line in lines(process):
        said.append(line)
        saved = _SAVED.match(str(line.get("text", "")))
        if saved and int(saved[1].replace(",", "")) > after:
            return int(saved[1].replace(",", ""))
    raise AssertionError((said, process.stderr and process.stderr.read()))


def end(process: subprocess.Popen[str], number: signal.Signals) -> tuple[int, list[dict[str, Any]]]:
    """Send a signal and read to the end; the exit status, and what was said."""
    process.send_signal(number)
    said = list(lines(process))
    status = process.wait(60)
    return status, said


def finish(folder: Path, steps: int, *arguments: str) -> dict[str, object]:
    """Train to the end; the state of the last checkpoint."""
    process = start(folder, *arguments, steps=steps)
    with process:
        said = list(lines(process))
        assert process.wait(60) == 0, (said, process.stderr and process.stderr.read())
    return newest(folder).state


def newest(folder: Path) -> Loaded:
    """The newest checkpoint of the run in `folder`."""
    return CheckpointStore(folder / RUN / "checkpoints").load()


def differences(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """Where two checkpoints' weights, buffers, optimizer state, random numbers and place in the data differ."""
    return [key for key in one if not _same(one[key], other.get(key))]


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    return bool(one == other)
