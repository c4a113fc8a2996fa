"""What is known of memory during a run: the sizes that failed, the forecast for others, and when to try again."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from bsmon.core.ports import Observer
from bsmon.core.records import EventKind, Level
from bsmon.core.snapshot import MemoryForecast
from bsmon.engine.controls import Controls
from bsmon.engine.memory_model import ForecastModel
from bsmon.engine.plan import batchnorm_note, largest_share

_LOOK_EVERY_STEPS = 100
_MOST_WANTED = 16  # a viewer may ask for any number
_ROOM_REGAINED = 1.25  # times the room at the failure: memory that others held has come free

Room = Callable[[], int | None]
"""Bytes that training may hold now, all in all; None where that is not known."""


class MemoryGuard:
    """Keeps the micro batch within memory.

    `whole` forecasts updates of one micro batch, `accumulating` those of several, whose later forward passes find
    gradients in memory. `room` is asked at changes, at failures and every 100 steps after one, never in between.
    """

    def __init__(
        self,
        controls: Controls,
        whole: ForecastModel,
        accumulating: ForecastModel,
        room: Room,
        observer: Observer,
        has_batchnorm: bool | None = None,
    ) -> None:
        self._has_batchnorm = has_batchnorm
        self._controls = controls
        self._whole = whole
        self._accumulating = accumulating
        self._room = room
        self._observer = observer
        self._room_at_failure: int | None = None
        self._failed: set[int] = set()
        self._forecasts: dict[int, MemoryForecast] = {}
        self._wanted: list[int] = []
        self._peaks: dict[tuple[int, bool], int] = {}  # by micro batch, and whether it accumulates

    def start(self) -> None:
        """Before the first update: choose the micro batch, and forecast the sizes near the batch size."""
        self._controls.refit()
        plan = self._controls.plan
        if plan.gradient_accumulation_steps > 1 and self._controls.wanted_micro_batch is None:
            text = (
                f"a batch of {plan.batch_size:,} is not expected to fit at once: micro batch "
                f"{plan.passes_in_words()}{batchnorm_note(plan, self._has_batchnorm)}"
            )
            self._observer.event(EventKind.MEMORY, Level.INFO, text, 0, micro_batch_size=plan.micro_batch_size)
        self.forecast_around()

    def largest_micro_batch(self, rows: int) -> int:
        """The largest micro batch of so many samples on one device that is expected to fit.

        At least 1; all of them where nothing is known.
        """
        room = self._room()
        if self._whole.fits(rows, room) is not False:
            return rows
        found = self._accumulating.largest_that_fits(room, rows - 1)
        return rows if found is None else max(1, found)

    def ran_out(self, micro_batch_size: int, reason: str, step: int) -> None:
        """This micro batch ran out of memory: fence it, and say what happens now."""
        self._failed.add(micro_batch_size)
        self._room_at_failure = self._room()
        self._whole.failed(micro_batch_size)
        self._accumulating.failed(micro_batch_size)
        self._controls.fence(micro_batch_size)
        plan = self._controls.plan
        text = (
            f"out of memory at micro batch {micro_batch_size:,}: the same samples again at "
            f"{plan.passes_in_words()}; the batch size stays {plan.batch_size:,}"
            f"{batchnorm_note(plan, self._has_batchnorm)}"
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
        self._whole.unfence()
        self._accumulating.unfence()
        self._failed.clear()
        self._room_at_failure = None
        self._controls.lift_fence()
        after = self._controls.plan.micro_batch_size
        text = f"memory has come free: micro batch {before:,} -> {after:,}"
        self._observer.event(EventKind.MEMORY, Level.GOOD, text, step, old=before, new=after)
        self._publish()
        return True

    def measured(self, peak_bytes: int) -> None:
        """The plan in force had this peak; forecasts are corrected by it."""
        plan = self._controls.plan
        model = self._whole if plan.gradient_accumulation_steps == 1 else self._accumulating
        model.measured(plan.micro_batch_size, peak_bytes)
        self._peaks[plan.micro_batch_size, plan.gradient_accumulation_steps > 1] = peak_bytes
        self.forecast(self._forecasts)

    def forecast(self, micro_batch_sizes: Iterable[int]) -> None:
        """Predict the peaks of these micro batches and publish them; each new size costs a fake step."""
        room = self._room()
        for size in list(micro_batch_sizes):
            view = self._whole.view(size, room)
            if view is not None:
                self._forecasts[size] = view
        self._publish()

    def want(self, batch_sizes: Iterable[int]) -> None:
        """Somebody wants to know about these sizes."""
        known = {*self._forecasts, *self._wanted}
        possible = [size for size in batch_sizes if 1 <= size <= self._controls.bounds.largest]
        wanted = [share for share in self._shares(possible) if share not in known]
        self._wanted = [*self._wanted, *wanted][:_MOST_WANTED]

    def forecast_next(self) -> bool:
        """Predict one of the wanted sizes: one a step, so that a look at many sizes holds up no step for long."""
        if self._wanted:
            self.forecast([*self._forecasts, self._wanted.pop(0)])
        return bool(self._wanted)

    def no_room(self, reason: str) -> str:
        """Why not even one sample fits, with the numbers that are known."""
        room, needed = self._room(), self._whole.predict(1)
        numbers = f" One sample needs about {_mib(needed)}, training may use {_mib(room)}." if needed and room else ""
        return f"Out of memory even with one sample at a time: {reason.rstrip('.')}.{numbers}"

    def forecast_around(self) -> None:
        """Predict what a person may ask for next: the present batch size in one pass, and twice and half of it."""
        size, largest = self._controls.plan.batch_size, self._controls.bounds.largest
        near = self._shares((size, min(2 * size, largest), max(1, size // 2)))
        self.forecast(sorted({*near, *self._forecasts}))

    def _shares(self, batch_sizes: Iterable[int]) -> list[int]:
        """What one device holds of each of these batches, each once, in their order."""
        return list(dict.fromkeys(largest_share(size, self._controls.plan.world_size) for size in batch_sizes))

    def _publish(self) -> None:
        forecasts = tuple(self._forecasts[size] for size in sorted(self._forecasts))
        plan = self._controls.plan
        measured = self._peaks.get((plan.micro_batch_size, plan.gradient_accumulation_steps > 1))
        self._observer.memory(forecasts, tuple(sorted(self._failed)), measured)


def _mib(number: int) -> str:
    return f"{number / 2**20:,.1f} MiB"
