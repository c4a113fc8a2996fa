"""Where a step's time goes, on fake clocks."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bsmon.telemetry.clock import CpuStepTimer, CudaStepTimer, Phase, ShareWindow, step_timer

PHASES: tuple[Phase, ...] = get_args(Phase)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class FakeGpu:
    """A stream whose events are done when the test says so."""

    def __init__(self) -> None:
        self.now_ms = 0.0
        self.done_up_to = 0
        self.recorded = 0
        self.events = 0

    def event(self) -> FakeEvent:
        self.events += 1
        return FakeEvent(self)


class FakeEvent:
    def __init__(self, gpu: FakeGpu) -> None:
        self._gpu = gpu
        self.order = 0
        self.time_ms = 0.0

    def record(self) -> None:
        self._gpu.recorded += 1
        self.order, self.time_ms = self._gpu.recorded, self._gpu.now_ms

    def query(self) -> bool:
        return self.order <= self._gpu.done_up_to

    def elapsed_time(self, end_event: FakeEvent) -> float:
        assert self.query(), "elapsed_time of an event that is not done raises in torch"
        assert end_event.query()
        return end_event.time_ms - self.time_ms


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_shares_of_one_step(clock: Clock) -> None:
    timer = CpuStepTimer(clock)
    durations: dict[Phase, float] = {"data_wait": 1.0, "forward": 3.0, "backward": 5.0, "optimizer": 1.0}
    for phase, seconds in durations.items():
        timer.mark(phase)
        clock.now += seconds
    timer.end_step()
    assert timer.shares() == {"data_wait": 0.1, "forward": 0.3, "backward": 0.5, "optimizer": 0.1}


def test_accumulated_micro_batches_add_up(clock: Clock) -> None:
    timer = CpuStepTimer(clock)
    for _ in range(4):
        for phase, seconds in zip(PHASES[2:4], (1.0, 3.0), strict=True):
            timer.mark(phase)
            clock.now += seconds
    timer.end_step()
    assert timer.shares() == {"forward": 0.25, "backward": 0.75}


def test_time_between_steps_counts_for_nothing(clock: Clock) -> None:
    timer = CpuStepTimer(clock)
    for _ in range(2):
        timer.mark("forward")
        clock.now += 1.0
        timer.end_step()
        clock.now += 100.0
    assert timer.shares() == {"forward": 1.0}


def test_nothing_is_known_before_a_step(clock: Clock) -> None:
    assert CpuStepTimer(clock).shares() is None
    assert CudaStepTimer(FakeGpu().event).shares() is None


def test_old_steps_are_forgotten(clock: Clock) -> None:
    timer = CpuStepTimer(clock, window_steps=5)
    phases: list[Phase] = ["forward"] * 5
    phases += ["backward"] * 10
    for phase in phases:
        timer.mark(phase)
        clock.now += 1.0
        timer.end_step()
    assert timer.shares() == {"backward": 1.0}


@given(st.lists(st.tuples(st.sampled_from(PHASES), st.floats(1e-6, 1e3)), min_size=1, max_size=60))
def test_shares_add_up_to_one(marks: list[tuple[Phase, float]]) -> None:
    clock = Clock()
    timer = CpuStepTimer(clock)
    for phase, seconds in marks:
        timer.mark(phase)
        clock.now += seconds
    timer.end_step()
    shares = timer.shares()
    assert shares is not None
    assert sum(shares.values()) == pytest.approx(1.0)
    assert all(share >= 0 for share in shares.values())


def gpu_step(timer: CudaStepTimer, gpu: FakeGpu) -> None:
    timer.mark("forward")
    gpu.now_ms += 1.0
    timer.mark("backward")
    gpu.now_ms += 3.0
    timer.end_step()


def test_events_are_read_only_when_the_gpu_has_come_past_them() -> None:
    gpu = FakeGpu()
    timer = CudaStepTimer(gpu.event, every=1)
    gpu_step(timer, gpu)
    gpu.done_up_to = 2
    gpu_step(timer, gpu)
    assert timer.shares() is None
    gpu.done_up_to = 3
    gpu_step(timer, gpu)
    assert timer.shares() == {"forward": 0.25, "backward": 0.75}


def test_only_every_so_many_steps_cost_events() -> None:
    gpu = FakeGpu()
    timer = CudaStepTimer(gpu.event, every=4)
    for _ in range(8):
        gpu_step(timer, gpu)
    assert gpu.recorded == 2 * 3


def test_events_are_used_again() -> None:
    gpu = FakeGpu()
    timer = CudaStepTimer(gpu.event, every=1)
    for _ in range(100):
        gpu.done_up_to = gpu.recorded + 3
        gpu_step(timer, gpu)
    assert gpu.events == 3


def test_a_gpu_that_is_far_behind_holds_a_bounded_number_of_events() -> None:
    gpu = FakeGpu()
    timer = CudaStepTimer(gpu.event, every=1)
    for _ in range(1000):
        gpu_step(timer, gpu)
    assert len(timer._pending) <= 16


def test_the_window_may_be_read_while_it_is_empty() -> None:
    assert ShareWindow().shares() is None


@pytest.mark.parametrize("device", ["cpu", "mps"])
def test_a_cpu_is_timed_by_its_clock(device: str) -> None:
    assert isinstance(step_timer(device), CpuStepTimer)
