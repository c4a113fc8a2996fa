"""The few numbers of a snapshot that both kinds of line give."""

from __future__ import annotations

from bsmon.core.records import GpuSample
from bsmon.core.snapshot import Snapshot


def last(snapshot: Snapshot, series: str) -> float | None:
    """Return the newest value of a series; None where there is none."""
    found = snapshot.series.get(series)
    return found.last if found else None


def own_gpu(snapshot: Snapshot) -> GpuSample | None:
    """Return the GPU that this run trains on, where it is known."""
    gpus = snapshot.hardware.gpus if snapshot.hardware else ()
    return next((gpu for gpu in gpus if gpu.is_mine), None)


def rss_bytes(snapshot: Snapshot) -> int | None:
    """Return the memory of the training process and its workers."""
    return snapshot.hardware.host.rss_bytes if snapshot.hardware else None


def overall_samples_per_second(snapshot: Snapshot) -> float | None:
    """Return samples over elapsed time, start, pauses and validation included; None before the first step."""
    progress = snapshot.progress
    return progress.samples / progress.elapsed_s if progress.samples and progress.elapsed_s > 0 else None
