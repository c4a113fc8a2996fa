"""The front end without a terminal, over sessions that play prepared snapshots."""

from __future__ import annotations

import errno
import io
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TextIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bsmon.core.commands import Command
from bsmon.core.records import (
    Evaluation,
    Event,
    EventKind,
    GpuSample,
    GradientStats,
    HardwareSample,
    HostSample,
    Level,
    TorchMemory,
)
from bsmon.core.snapshot import BatchState, Failure, Mark, Progress, RunInfo, RunState, Series, Snapshot
from bsmon.headless import run

HOSTILE = "\x1b[31mred\x1b]52;c;AAAA\x07\u202e\x9b2J\r\nsecond"

STEP_KEYS = {
    "type", "state", "waiting_for", "elapsed_s", "eta_s", "epoch", "epochs", "step", "samples", "total_samples",
    "loss", "loss_smoothed", "validation_loss", "validation_accuracy", "grad_norm", "noise_scale", "noise_scale_low",
    "noise_scale_high", "learning_rate", "batch_size", "micro_batch_size", "gradient_accumulation_steps",
    "world_size", "samples_per_second", "data_wait_share", "rss_bytes", "gpu_memory_used_bytes", "torch_peak_bytes",
    "advice",
}  # fmt: skip
EVENT_KEYS = {"type", "number", "kind", "level", "text", "step", "elapsed_s", "clock", "data"}
SUMMARY_KEYS = {
    "type", "state", "elapsed_s", "epoch", "step", "samples", "loss", "loss_smoothed", "validation_loss",
    "validation_accuracy", "learning_rate", "batch_size", "batch_changes", "samples_per_second", "run_dir", "failure",
}  # fmt: skip

INFO = RunInfo(
    name="digits",
    run_dir="runs/digits",
    task="digits",
    model="cnn",
    optimizer="AdamW",
    device="cpu",
    device_name="a processor",
    parameters=24_000,
    train_samples=1437,
    validation_samples=360,
    epochs=5,
)
STARTING = Snapshot(1, RunInfo(name="digits"), RunState.STARTING, waiting_for="importing torch")
TRAINING = Snapshot(
    2,
    INFO,
    RunState.TRAINING,
    progress=Progress(2, 60, 1920, 7185, 483, 12.5, 34.2, 153.6, 0.2, 0.01),
    batch=BatchState(32, 16, 2, 0.001),
    series={
        "loss": Series(1.0, (0.5,), (0.5,), (0.5,), 0.4321),
        "loss_smoothed": Series(1.0, (0.5,), (0.5,), (0.5,), 0.4567),
    },
    gradients=GradientStats(60, 1.25),
    evaluation=Evaluation(45, 1, 0.3512, 0.915, 360, 0.1),
    hardware=HardwareSample(12.0, HostSample(rss_bytes=512 * 2**20)),
)
FINISHED = replace(TRAINING, version=3, state=RunState.FINISHED, marks=(Mark(10, 16, 32),))


def event(number: int, text: str = "something", **data: float | str | None) -> Event:
    return Event(number, EventKind.BATCH, Level.INFO, text, 10, 3.0, 1.7e9, data)


class Playback:
    """A session, its stop signal and its clock: every wait shows the next snapshot, some seconds later."""

    def __init__(self, snapshots: Sequence[Snapshot], seconds_each: float = 1.0, stop_after: int | None = None) -> None:
        self.snapshots = snapshots
        self.at = 0
        self.seconds_each = seconds_each
        self.stop_after = stop_after

    def snapshot(self) -> Snapshot:
        return self.snapshots[self.at]

    def submit(self, command: Command) -> None:
        raise AssertionError("this front end asks for nothing")

    def wait(self, timeout: float | None = None, /) -> bool:
        self.at = min(self.at + 1, len(self.snapshots) - 1)
        return self.at == self.stop_after

    def clock(self) -> float:
        return self.at * self.seconds_each


def play(playback: Playback, out: TextIO, *, as_json: bool = False, interval_s: float = 10.0) -> None:
    run(playback, out=out, interval_s=interval_s, as_json=as_json, stop=playback, clock=playback.clock)


def plain(*snapshots: Snapshot, interval_s: float = 10.0) -> list[str]:
    out = io.StringIO()
    play(Playback(snapshots), out, interval_s=interval_s)
    return out.getvalue().splitlines()


def objects(*snapshots: Snapshot) -> list[dict[str, object]]:
    out = io.StringIO()
    play(Playback(snapshots), out, as_json=True)
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_the_first_line_says_what_it_waits_for() -> None:
    assert plain(STARTING, FINISHED)[0] == "00:00:00 starting: importing torch"


def test_a_new_thing_to_wait_for_is_said_at_once() -> None:
    lines = plain(STARTING, STARTING, replace(STARTING, waiting_for="reading the data"), FINISHED)
    assert [line for line in lines if "starting" in line] == [
        "00:00:00 starting: importing torch",
        "00:00:00 starting: reading the data",
    ]


def test_one_line_an_interval() -> None:
    assert sum("training" in line for line in plain(*[TRAINING] * 25, FINISHED)) == 3


def test_a_line_tells_where_the_run_stands() -> None:
    assert plain(TRAINING, FINISHED)[1] == (
        "00:00:12 training | epoch 2/5 | step 60 | samples 1920/7185 | loss 0.4321 | smoothed 0.4567"
        " | validation 0.3512 | lr 0.001 | batch 32 (micro batch 16 x 2) | 153.6 samples/s | memory 512 MiB"
        " | ETA 00:00:34"
    )


def test_the_run_is_described_once_it_is_known() -> None:
    described = [line for line in plain(STARTING, TRAINING, TRAINING, FINISHED) if line.startswith("run ")]
    line = (
        "run digits | task digits | cnn with AdamW | 24,000 parameters | 1,437 + 360 samples | 5 epochs"
        " | cpu a processor fp32"
    )
    assert described == [line]


def test_unknown_is_not_zero() -> None:
    bare = Snapshot(2, RunInfo(name="digits"), RunState.TRAINING)
    line = plain(bare, FINISHED)[0]
    for part in ("loss n/a", "validation n/a", "lr n/a", "batch n/a", "n/a samples/s", "memory n/a", "ETA n/a"):
        assert part in line


def test_on_a_gpu_its_memory_is_told() -> None:
    others = GpuSample(0, "GPU-0", "a GPU", memory_used_bytes=1, memory_total_bytes=1)
    own = GpuSample(1, "GPU-1", "a GPU", is_mine=True, memory_used_bytes=3 * 2**30, memory_total_bytes=80 * 2**30)
    hardware = HardwareSample(1.0, HostSample(), (others, own), TorchMemory(1, 2, 3))
    training = replace(TRAINING, hardware=hardware)
    assert "GPU memory 3.00 GiB of 80.00 GiB" in plain(training, FINISHED)[1]
    step = objects(training, FINISHED)[1]
    assert (step["gpu_memory_used_bytes"], step["torch_peak_bytes"]) == (3 * 2**30, 3)


def test_the_summary_of_a_finished_run() -> None:
    assert plain(FINISHED)[-4:] == [
        (
            "summary: finished after 00:00:12 | epoch 2/5 | step 60 | samples 1920/7185"
            " | 153.6 samples/s, start and evaluations included"
        ),
        "summary: loss 0.4321 | smoothed 0.4567 | validation 0.3512 | accuracy 91.5 %",
        "summary: batch 16 -> 32 in 1 change",
        "summary: run folder runs/digits",
    ]


def test_the_summary_of_a_failed_run_says_why() -> None:
    failed = replace(FINISHED, state=RunState.FAILED, failure=Failure("no such file", "Traceback ..."))
    assert plain(failed)[-1] == "summary: failed: no such file"
    assert objects(failed)[-1]["failure"] == "no such file"


def test_a_stop_ends_with_the_latest_events_and_a_summary() -> None:
    out = io.StringIO()
    play(Playback([TRAINING, replace(TRAINING, events=(event(1),)), FINISHED], stop_after=1), out)
    lines = out.getvalue().splitlines()
    assert "00:00:03 [info] batch at step 10: something" in lines
    assert lines[-4].startswith("summary: training after")


def test_what_is_said_after_the_end_is_told() -> None:
    late = replace(FINISHED, version=4, events=(event(1, "checkpoint written"),))
    lines = plain(TRAINING, FINISHED, late)
    assert "00:00:03 [info] batch at step 10: checkpoint written" in lines
    assert lines[-1].startswith("summary:")


@given(st.lists(st.integers(0, 6), min_size=1, max_size=8), st.integers(1, 8))
def test_no_event_is_lost_or_told_twice(new_in_each: list[int], kept: int) -> None:
    snapshots: list[Snapshot] = []
    newest, kept_by_any = 0, set[int]()
    for new in new_in_each:
        newest += new
        tail = range(max(1, newest - kept + 1), newest + 1)
        kept_by_any.update(tail)
        snapshots.append(replace(TRAINING, events=tuple(event(number) for number in tail)))
    said = objects(*snapshots, replace(snapshots[-1], state=RunState.FINISHED))
    assert [item["number"] for item in said if item["type"] == "event"] == sorted(kept_by_any)
    missed = sum(item["count"] for item in said if item["type"] == "missed" and isinstance(item["count"], int))
    assert missed == max(kept_by_any, default=0) - len(kept_by_any)


def hostile_frames() -> list[Snapshot]:
    info = replace(INFO, name=HOSTILE, task=HOSTILE, model=HOSTILE, device_name=HOSTILE, run_dir=HOSTILE)
    first = replace(STARTING, run=info, waiting_for=HOSTILE)
    second = replace(TRAINING, run=info, waiting_for=HOSTILE, events=(event(1, HOSTILE, **{HOSTILE: HOSTILE}),))
    return [first, second, replace(second, state=RunState.FAILED, failure=Failure(HOSTILE, HOSTILE))]


@pytest.mark.parametrize("as_json", [False, True])
def test_text_from_outside_holds_no_control_character(as_json: bool) -> None:
    out = io.StringIO()
    play(Playback(hostile_frames()), out, as_json=as_json, interval_s=0.5)
    lines = out.getvalue().split("\n")
    assert all(line.isprintable() for line in lines)
    if as_json:
        assert all(is_clean(json.loads(line)) for line in lines if line)
    assert any("second" in line for line in lines)


def is_clean(value: object) -> bool:
    if isinstance(value, Mapping):
        return all(is_clean(key) and is_clean(item) for key, item in value.items())
    return not isinstance(value, str) or value.isprintable()


def test_json_keys_are_the_documented_ones_and_unknown_is_null() -> None:
    bare = Snapshot(2, RunInfo(name="digits"), RunState.TRAINING, events=(event(1, old=32, new=None),))
    said, step, summary = objects(bare, replace(bare, state=RunState.STOPPED))
    assert said.keys() == EVENT_KEYS
    assert said["data"] == {"old": 32, "new": None}
    assert step.keys() == STEP_KEYS
    assert step["loss"] is None
    assert step["batch_size"] is None
    assert summary.keys() == SUMMARY_KEYS
    assert summary["samples_per_second"] is None


def test_json_has_no_nan() -> None:
    diverged = replace(TRAINING, gradients=GradientStats(60, float("nan")))
    step = objects(diverged, FINISHED)[1]
    assert step["grad_norm"] is None
    assert step["loss"] == 0.4321


def test_a_closed_pipe_does_not_end_the_run() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    playback = Playback([STARTING, TRAINING, TRAINING, FINISHED])
    with os.fdopen(writer, "w") as out:
        play(playback, out, interval_s=0.5)
        out.write("what the interpreter flushes at exit")
    assert playback.snapshot() is FINISHED


class FullDisk(io.StringIO):
    """Has no room for its first line."""

    def flush(self) -> None:
        if "starting" in self.getvalue():
            self.truncate(0)
            self.seek(0)
            raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_is_tried_again() -> None:
    out = FullDisk()
    play(Playback([STARTING, TRAINING, FINISHED]), out, interval_s=0.5)
    assert "starting" not in out.getvalue()
    assert "summary: finished" in out.getvalue()


def test_what_the_encoding_lacks_is_escaped() -> None:
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding="ascii")
    play(Playback([replace(FINISHED, run=replace(INFO, name="Ziffern für alle"))]), out)
    assert b"run Ziffern f\\xfcr alle" in raw.getvalue()
