"""One plain line a thing: words and numbers, no escape codes, the same width of information every time."""

from __future__ import annotations

import math

from bsmon.core.records import Event
from bsmon.core.snapshot import BatchState, RunState, Snapshot
from bsmon.core.text import clean
from bsmon.headless.values import last, overall_samples_per_second, own_gpu, rss_bytes

UNKNOWN = "n/a"


class PlainLines:
    """Says each thing as a line for people."""

    def run(self, snapshot: Snapshot) -> str:
        """Return the line that says what is being trained, on what."""
        run = snapshot.run
        length = _counted(run.epochs, "epoch") if run.max_steps is None else _counted(run.max_steps, "step")
        return _joined(
            f"run {run.name}",
            f"task {run.task}",
            f"{run.model} with {run.optimizer}",
            f"{_count(run.parameters)} parameters",
            f"{_count(run.train_samples)} + {_count(run.validation_samples)} samples",
            length,
            f"{run.device} {run.device_name} {run.precision}{_ranks(run.world_size)}",
        )

    def progress(self, snapshot: Snapshot) -> str:
        """Return the line that says where the run stands; before the first step, what it waits for."""
        progress = snapshot.progress
        state = f"{_time(progress.elapsed_s)} {snapshot.state}"
        if snapshot.state is RunState.STARTING:
            return _joined(f"{state}: {snapshot.waiting_for}" if snapshot.waiting_for else state)
        return _joined(
            f"{state}: {snapshot.waiting_for}" if snapshot.waiting_for else state,
            f"epoch {_of(progress.epoch, snapshot.run.epochs)}",
            f"step {_of(progress.step, snapshot.run.max_steps)}",
            f"samples {_of(progress.samples, progress.total_samples)}",
            *_results(snapshot),
            f"lr {_number(snapshot.batch.learning_rate if snapshot.batch else None)}",
            f"batch {_batch(snapshot.batch)}",
            f"{_number(progress.samples_per_second)} samples/s",
            _memory(snapshot),
            f"ETA {_time(progress.eta_s)}",
        )

    def event(self, event: Event) -> str:
        """Return the line of an event."""
        return _joined(f"{_time(event.time_s)} [{event.level}] {event.kind} at step {event.step}: {event.text}")

    def missed(self, count: int) -> str:
        """Return the line that says how many events came before the first that was kept."""
        return f"({count} earlier events are in the run's journal alone)"

    def summary(self, snapshot: Snapshot) -> str:
        """Return the last lines: how it ended, with what results, where they are."""
        progress, run = snapshot.progress, snapshot.run
        lines = [
            _joined(
                f"{snapshot.state} after {_time(progress.elapsed_s)}",
                f"epoch {_of(progress.epoch, run.epochs)}",
                f"step {_of(progress.step, run.max_steps)}",
                f"samples {_of(progress.samples, progress.total_samples)}",
                f"{_number(overall_samples_per_second(snapshot))} samples/s, start and evaluations included",
            ),
            _joined(*_results(snapshot), f"accuracy {_accuracy(snapshot)}"),
            _joined(f"batch {_batch_history(snapshot)}"),
        ]
        if run.run_dir:
            lines.append(_joined(f"run folder {run.run_dir}"))
        if snapshot.failure:
            lines.append(_joined(f"failed: {snapshot.failure.message}"))
        return "\n".join(f"summary: {line}" for line in lines)


def _joined(*parts: str) -> str:
    """Join the parts of a line, each made safe; line ends inside a part become slashes."""
    return " | ".join(" / ".join(clean(line) for line in part.splitlines()) for part in parts)


def _results(snapshot: Snapshot) -> tuple[str, str, str]:
    return (
        f"loss {_number(last(snapshot, 'loss'))}",
        f"smoothed {_number(last(snapshot, 'loss_smoothed'))}",
        f"validation {_number(snapshot.evaluation.loss if snapshot.evaluation else None)}",
    )


def _accuracy(snapshot: Snapshot) -> str:
    accuracy = snapshot.evaluation.accuracy if snapshot.evaluation else None
    return UNKNOWN if accuracy is None else f"{100 * accuracy:.1f} %"


def _batch(batch: BatchState | None) -> str:
    if batch is None:
        return UNKNOWN
    steps, ranks = batch.gradient_accumulation_steps, _ranks(batch.world_size)
    if steps == 1:
        return f"{batch.batch_size}{ranks}"
    return f"{batch.batch_size} (micro batch {batch.micro_batch_size} x {steps}{ranks})"


def _ranks(world_size: int) -> str:
    return f" on {world_size} ranks" if world_size > 1 else ""


def _batch_history(snapshot: Snapshot) -> str:
    marks = snapshot.marks
    if not marks:
        return f"{_batch(snapshot.batch)}, never changed"
    sizes = [marks[0].old_batch_size, *(mark.new_batch_size for mark in marks)]
    shown = " -> ".join(map(str, sizes)) if len(sizes) <= 8 else f"{sizes[0]} -> ... -> {sizes[-1]}"
    return f"{shown} in {len(marks)} {'change' if len(marks) == 1 else 'changes'}"


def _memory(snapshot: Snapshot) -> str:
    gpu = own_gpu(snapshot)
    if gpu is None:
        return f"memory {_bytes(rss_bytes(snapshot))}"
    return f"GPU memory {_bytes(gpu.memory_used_bytes)} of {_bytes(gpu.memory_total_bytes)}"


def _number(value: float | None) -> str:
    """Return four significant digits, without an exponent where that is as short."""
    if value is None:
        return UNKNOWN
    return f"{value:,.0f}" if 1e4 <= abs(value) < 1e9 else f"{value:.4g}"


def _count(value: int | None) -> str:
    return UNKNOWN if value is None else f"{value:,}"


def _counted(value: int | None, what: str) -> str:
    return f"{_count(value)} {what}{'' if value == 1 else 's'}"


def _of(value: int, total: int | None) -> str:
    return f"{value}" if total is None else f"{value}/{total}"


def _bytes(value: int | None) -> str:
    if value is None:
        return UNKNOWN
    return f"{value / 2**30:.2f} GiB" if value >= 2**30 else f"{value / 2**20:.0f} MiB"


def _time(seconds: float | None) -> str:
    if seconds is None or not math.isfinite(seconds):
        return UNKNOWN
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{rest:02d}"
