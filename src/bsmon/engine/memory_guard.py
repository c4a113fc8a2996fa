"""What is known of memory during a run: the sizes that failed, the forecast for others, and when to try again."""

from __future__ import annotations

from collections.abc import Callable

from bsmon.core.ports import Observer
from bsmon.core.records import EventKind, Level
from bsmon.core.snapshot import MemoryForecast
from bsmon.engine.controls import Controls
from bsmon.engine.memory_model import ForecastModel

_LOOK_EVERY_STEPS = 100
_ROOM_REGAINED = 1.25  # times the room at the failure: memory that others held has come free

Room = Callable[[], int | None]
"""Bytes that training may hold now, all in all; None where that is not known."""


class MemoryGuard:
    """Keeps the micro batch within memory. `room` is asked at failures and every 100 steps, never in between."""

    def __init__(self, controls: Controls, model: ForecastModel, room: Room, observer: Observer) -> None:
        self._controls = controls
        self._model = model
        self._room = room
        self._observer = observer
        self._room_at_failure: int | None = None
        self._failed: list[int] = []
        self._forecasts: dict[int, MemoryForecast] = {}

    def ran_out(self, micro_batch_size: int, reason: str, step: int) -> None:
        """This micro batch ran out of memory: fence it, and say what happens now."""
        self._failed.append(micro_batch_size)
        self._room_at_failure = self._room()
        self._model.failed(micro_batch_size)
        self._controls.fence(micro_batch_size)
        plan = self._controls.plan
        text = (
            f"out of memory at micro batch {micro_batch_size:,}: the same samples again at "
            f"{plan.micro_batch_size:,} x {plan.gradient_accumulation_steps}; the batch size stays {plan.batch_size:,}"
        )
        self._observer.event(
            EventKind.MEMORY,
            Level.WARNING,
            text,
            step,
            failed=micro_batch_size,
            micro_batch_size=plan.micro_batch_size,
            reason=reason,
        )
        self._publish()

    def grow_back_if_room(self, step: int) -> bool:
        """Every so often after a failure: lift the fence when there is clearly more room than at the failure."""
        if self._room_at_failure is None or step % _LOOK_EVERY_STEPS:
            return False
        room = self._room()
        if room is None or room < _ROOM_REGAINED * self._room_at_failure:
            return False
        before = self._controls.plan.micro_batch_size
        self._controls.lift_fence()
        self._model.unfence()
        self._failed.clear()
        self._room_at_failure = None
        after = self._controls.plan.micro_batch_size
        text = f"memory has come free: micro batch {before:,} -> {after:,}"
        self._observer.event(EventKind.MEMORY, Level.GOOD, text, step, old=before, new=after)
        self._publish()
        return True

    def measured(self, micro_batch_size: int, peak_bytes: int) -> None:
        """A step with micro batches of this size had this peak."""
        self._model.measured(micro_batch_size, peak_bytes)

    def forecast(self, micro_batch_sizes: list[int]) -> None:
        """Predict the peaks at these sizes and publish them."""
        limit = self._room()
        for size in micro_batch_sizes:
            view = self._model.view(size, limit)
            if view is not None:
                self._forecasts[size] = view
        self._publish()

    def largest_that_fits(self, maximum: int) -> int | None:
        """The largest micro batch up to `maximum` that is expected to fit; None when nothing can be said."""
        return self._model.largest_that_fits(self._room(), maximum)

    @property
    def has_failed(self) -> bool:
        """Whether a size is fenced."""
        return bool(self._failed)

    def _publish(self) -> None:
        forecasts = tuple(self._forecasts[size] for size in sorted(self._forecasts))
        self._observer.memory(forecasts, tuple(sorted(set(self._failed))))
