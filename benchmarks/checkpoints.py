"""What a checkpoint costs: the training waits only for the copy, the disk is written beside it.

    python -m benchmarks.checkpoints [FOLDER]

FOLDER: where to write; default: the system's folder for temporary files. "longest gap" is how long the training
thread was kept from running Python by the writer thread.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import torch

from bsmon.engine.checkpoint import CheckpointStore, Saved
from bsmon.engine.checkpoint_writer import CheckpointWriter
from bsmon.engine.plain_state import snapshot_state

_PATIENCE_S = 300.0


def state_of(megabytes: int) -> dict[str, object]:
    """Weights and Adam's two moments, `megabytes` in all, in 30 tensors."""
    numbers = megabytes * 1_000_000 // 4 // 30
    return {f"tensor {index}": torch.randn(numbers) for index in range(30)}


def longest_gap(writer: CheckpointWriter) -> float:
    """Run Python until the writer is done; the longest time in seconds between two rounds."""
    longest, last = 0.0, time.perf_counter()
    while writer.busy:
        time.sleep(0.0005)
        now = time.perf_counter()
        longest, last = max(longest, now - last), now
    return longest


def show(folder: Path, megabytes: int) -> None:
    """Save one state twice and print a line of the second time."""
    store = CheckpointStore(folder / str(megabytes))
    writer = CheckpointWriter(store)
    state = state_of(megabytes)
    for step in (1, 2):
        started = time.perf_counter()
        copied = snapshot_state(state)
        copy_s = time.perf_counter() - started
        assert isinstance(copied, dict)
        writer.submit(copied, step)
        gap_s = longest_gap(writer)
    saved = writer.outcomes()[-1]
    assert isinstance(saved, Saved)
    started = time.perf_counter()
    store.load()
    load_s = time.perf_counter() - started
    writer.close(_PATIENCE_S)
    print(f"{megabytes:8} {copy_s * 1e3:10.1f} {gap_s * 1e3:16.1f} {saved.seconds:10.2f} {load_s:10.2f}")


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as folder:
        print("      MB   copy, ms  longest gap, ms    save, s    load, s")
        for megabytes in (1, 10, 100, 400):
            show(Path(folder), megabytes)


if __name__ == "__main__":
    main()
