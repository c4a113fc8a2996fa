"""One JSON object a line. Keys are stable: later versions may add some, none changes its meaning or goes away.

Every object has "type". null is unknown, or not a finite number; `*_s` is seconds, `*_bytes` bytes. Text holds no
control characters.

- "step", one an interval: state, waiting_for, elapsed_s, eta_s, epoch, epochs, step, samples, total_samples, loss,
  loss_smoothed, validation_loss, validation_accuracy (0..1), grad_norm, noise_scale, noise_scale_low and
  noise_scale_high (90 % interval; low alone is "at least"), learning_rate, batch_size, micro_batch_size,
  gradient_accumulation_steps (on each rank), world_size, samples_per_second, data_wait_share (0..1), rss_bytes,
  gpu_memory_used_bytes, torch_peak_bytes, advice
- "run", once, when the task is built: the fields of `bsmon.core.snapshot.RunInfo`
- "event", as it happens: number (from 1, without gaps), kind, level, text, step, elapsed_s, clock (since 1970), data
- "missed": count, the events before the next one that were too many to be kept
- "summary", the last line: state, elapsed_s, epoch, step, samples, loss, loss_smoothed, validation_loss,
  validation_accuracy, learning_rate, batch_size, batch_changes, samples_per_second (over the whole run), run_dir,
  failure (a sentence, or null)
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict

from bsmon.core.records import Event
from bsmon.core.snapshot import Snapshot
from bsmon.core.text import clean
from bsmon.headless.values import last, overall_samples_per_second, own_gpu, rss_bytes

Value = float | int | str | None


class JsonLines:
    """Says each thing as one JSON object."""

    def run(self, snapshot: Snapshot) -> str:
        """Return the "run" object."""
        return _line("run", asdict(snapshot.run))

    def progress(self, snapshot: Snapshot) -> str:
        """Return the "step" object."""
        progress = snapshot.progress
        gpu = own_gpu(snapshot)
        torch = snapshot.hardware.torch if snapshot.hardware else None
        advice, noise = snapshot.advisor.advice, snapshot.advisor.noise_scale
        return _line(
            "step",
            {
                "state": snapshot.state,
                "waiting_for": snapshot.waiting_for or None,
                "elapsed_s": progress.elapsed_s,
                "eta_s": progress.eta_s,
                "epoch": progress.epoch,
                "epochs": snapshot.run.epochs,
                "step": progress.step,
                "samples": progress.samples,
                "total_samples": progress.total_samples,
                **_results(snapshot),
                "grad_norm": snapshot.gradients.norm if snapshot.gradients else None,
                "noise_scale": noise.value,
                "noise_scale_low": noise.low,
                "noise_scale_high": noise.high,
                **_batch(snapshot),
                "samples_per_second": progress.samples_per_second,
                "data_wait_share": progress.data_wait_share,
                "rss_bytes": rss_bytes(snapshot),
                "gpu_memory_used_bytes": gpu.memory_used_bytes if gpu else None,
                "torch_peak_bytes": torch.peak_bytes if torch else None,
                "advice": advice.title if advice else None,
            },
        )

    def event(self, event: Event) -> str:
        """Return the "event" object."""
        fields: dict[str, Value] = {
            "number": event.number,
            "kind": event.kind,
            "level": event.level,
            "text": event.text,
            "step": event.step,
            "elapsed_s": event.time_s,
            "clock": event.clock,
        }
        return json.dumps({"type": "event", **_safe(fields), "data": _safe(event.data)})

    def missed(self, count: int) -> str:
        """Return the "missed" object."""
        return _line("missed", {"count": count})

    def summary(self, snapshot: Snapshot) -> str:
        """Return the "summary" object."""
        progress = snapshot.progress
        batch = snapshot.batch
        return _line(
            "summary",
            {
                "state": snapshot.state,
                "elapsed_s": progress.elapsed_s,
                "epoch": progress.epoch,
                "step": progress.step,
                "samples": progress.samples,
                **_results(snapshot),
                "learning_rate": batch.learning_rate if batch else None,
                "batch_size": batch.batch_size if batch else None,
                "batch_changes": len(snapshot.marks),
                "samples_per_second": overall_samples_per_second(snapshot),
                "run_dir": snapshot.run.run_dir or None,
                "failure": snapshot.failure.message if snapshot.failure else None,
            },
        )


def _results(snapshot: Snapshot) -> dict[str, Value]:
    evaluation = snapshot.evaluation
    return {
        "loss": last(snapshot, "loss"),
        "loss_smoothed": last(snapshot, "loss_smoothed"),
        "validation_loss": evaluation.loss if evaluation else None,
        "validation_accuracy": evaluation.accuracy if evaluation else None,
    }


def _batch(snapshot: Snapshot) -> dict[str, Value]:
    batch = snapshot.batch
    return {
        "learning_rate": batch.learning_rate if batch else None,
        "batch_size": batch.batch_size if batch else None,
        "micro_batch_size": batch.micro_batch_size if batch else None,
        "gradient_accumulation_steps": batch.gradient_accumulation_steps if batch else None,
        "world_size": batch.world_size if batch else None,
    }


def _line(kind: str, fields: Mapping[str, Value]) -> str:
    return json.dumps({"type": kind, **_safe(fields)})


def _safe(fields: Mapping[str, Value]) -> dict[str, Value]:
    """Clean every text, and make null of NaN and infinity, which JSON does not have."""
    return {clean(key): _safe_value(value) for key, value in fields.items()}


def _safe_value(value: Value) -> Value:
    if isinstance(value, str):
        return " / ".join(clean(line) for line in value.splitlines())
    return None if isinstance(value, float) and not math.isfinite(value) else value
