from __future__ import annotations

import pytest

from bsmon.core.commands import LearningRateRule
from bsmon.core.records import EventKind
from bsmon.engine.controls import Bounds, Controls
from bsmon.engine.forecast import Forecast
from bsmon.engine.memory_guard import MemoryGuard
from bsmon.engine.memory_model import ForecastModel
from bsmon.engine.plan import BatchPlan
from tests.unit.engine.harness import Recorder, linear

A_SAMPLE = 100  # bytes


class Room:
    """What training may hold, settable."""

    def __init__(self, size: int | None) -> None:
        self.bytes = size

    def __call__(self) -> int | None:
        return self.bytes


def guarded(batch_size: int, room: Room, *, has_batchnorm: bool = False) -> tuple[MemoryGuard, Controls, Recorder]:
    controls = Controls(BatchPlan(batch_size, batch_size), 0.1, Bounds(1, None, 1000), LearningRateRule.LINEAR, linear)
    models = [ForecastModel(lambda rows: Forecast(A_SAMPLE * rows, 0.0), margin=0.0) for _ in range(2)]
    recorder = Recorder()
    guard = MemoryGuard(controls, models[0], models[1], room, recorder, has_batchnorm)
    controls.fit = guard.largest_micro_batch
    return guard, controls, recorder


@pytest.mark.parametrize(
    ("batch_size", "room", "plan"),
    [
        (64, 6400, BatchPlan(64, 64)),
        (64, 6399, BatchPlan(64, 32)),
        (64, 1000, BatchPlan(64, 10)),
        (100, 3300, BatchPlan(100, 25)),  # 33 would fit; four even passes are better than three and a rest
        (64, 50, BatchPlan(64, 1)),
        (64, None, BatchPlan(64, 64)),
    ],
)
def test_the_micro_batch_is_the_largest_that_fits(batch_size: int, room: int | None, plan: BatchPlan) -> None:
    guard, controls, recorder = guarded(batch_size, Room(room))
    guard.start()
    assert controls.plan == plan
    said = recorder.texts(EventKind.MEMORY)
    assert bool(said) is (plan.micro_batch_size < batch_size)


def test_a_starved_batchnorm_is_named() -> None:
    guard, _, recorder = guarded(64, Room(1000), has_batchnorm=True)
    guard.start()
    assert "BatchNorm sees only 10 samples at a time" in recorder.texts(EventKind.MEMORY)[0]


def test_a_failed_size_is_fenced_until_there_is_clearly_more_room() -> None:
    room = Room(None)
    guard, controls, recorder = guarded(64, room)
    room.bytes = 6400
    guard.ran_out(64, "CUDA out of memory", 7)
    assert controls.plan == BatchPlan(64, 32)
    assert recorder.fences == (64,)
    room.bytes = 7900
    assert not guard.grow_back_if_room(100)
    room.bytes = 8000
    assert not guard.grow_back_if_room(150)  # looked at every 100 steps only
    assert guard.grow_back_if_room(200)
    assert controls.plan == BatchPlan(64, 64)
    assert not recorder.fences
    assert "memory has come free: micro batch 32 -> 64" in recorder.texts(EventKind.MEMORY)
    assert not guard.grow_back_if_room(300)


def test_forecasts_are_made_one_at_a_time_and_not_without_end() -> None:
    guard, controls, recorder = guarded(64, Room(10_000))
    guard.want([8, 16, controls.bounds.largest + 1, 0, *range(100, 200)])
    guard.forecast_next()
    assert [forecast.micro_batch_size for forecast in recorder.forecasts] == [8]
    while guard.forecast_next():
        pass
    assert len(recorder.forecasts) == 16
    assert all(forecast.peak_bytes == A_SAMPLE * forecast.micro_batch_size for forecast in recorder.forecasts)


def test_a_measured_peak_corrects_the_forecasts() -> None:
    guard, _, recorder = guarded(64, Room(100_000))
    guard.forecast([64, 128])
    guard.measured(2 * 64 * A_SAMPLE)
    assert {f.micro_batch_size: f.peak_bytes for f in recorder.forecasts} == {64: 12_800, 128: 25_600}


def test_no_room_at_all_says_what_is_needed() -> None:
    guard, _, _ = guarded(64, Room(50))
    assert guard.no_room("x.") == (
        "Out of memory even with one sample at a time: x. One sample needs about 0.0 MiB, training may use 0.0 MiB."
    )
