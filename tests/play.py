"""Look at the screen without a training: `python -m tests.play [SCENE] [THEME] [FRAMES A SECOND]`."""

from __future__ import annotations

import sys
import time
from dataclasses import replace

from bsmon.core.commands import Command, DismissAdvice, Pause, Resume, Stop
from bsmon.core.records import EventKind, Level
from bsmon.core.snapshot import Mark, RunState, Snapshot
from bsmon.ui.app import BsmonApp
from bsmon.ui.themes import load_theme
from tests import fakes, layer_fakes

SCENES = {
    "starting": fakes.starting,
    "training": fakes.training,
    "advice": fakes.with_advice,
    "gpu": fakes.on_gpu,
    "gpus": layer_fakes.on_gpus,
    "weight": layer_fakes.with_weight,
    "finished": fakes.finished,
    "failed": fakes.failed,
}


class LivelySession(fakes.FakeSession):
    """Grows by ten steps a second and obeys half a second late, so that requests can be seen waiting."""

    def __init__(self) -> None:
        super().__init__(fakes.starting())
        self.began = self.asked_at = time.monotonic()
        self.step = 0

    def snapshot(self) -> Snapshot:
        age = time.monotonic() - self.began
        if age < 2:
            return self.current
        step = 40 + int((age - 2) * 10)
        if step != self.step and not self.current.state.ended and self.current.state is not RunState.PAUSED:
            self.grow(step)
        return self.current

    def grow(self, step: int) -> None:
        self.step = step
        fresh, old = fakes.with_advice(step), self.current
        batch, marks, events = old.batch or fresh.batch, old.marks, old.events or fresh.events
        if batch is not None and batch.pending is not None and time.monotonic() - self.asked_at > 0.5:
            marks = (*marks, Mark(step, batch.batch_size, batch.pending))
            text = f"batch size {batch.batch_size} -> {batch.pending}"
            happened = fakes.event(len(events) + 1, text, kind=EventKind.BATCH, level=Level.GOOD)
            events = (*events, replace(happened, step=step, time_s=time.monotonic() - self.began))
            batch = replace(batch, batch_size=batch.pending, micro_batch_size=batch.pending, pending=None)
        self.current = replace(fresh, version=old.version + 1, batch=batch, marks=marks, events=events)

    def submit(self, command: Command) -> None:
        super().submit(command)
        self.asked_at = time.monotonic()
        if isinstance(command, Stop):
            self.change(state=RunState.STOPPED)
        elif isinstance(command, Pause | Resume):
            self.change(state=RunState.PAUSED if isinstance(command, Pause) else RunState.TRAINING)
        elif isinstance(command, DismissAdvice):
            self.change(advisor=replace(self.current.advisor, advice=None))


def main(scene: str = "live", theme: str = "night", frames: str = "2") -> None:
    session = LivelySession() if scene == "live" else fakes.FakeSession(SCENES[scene]())
    BsmonApp(session, theme=load_theme(theme), frames_per_second=float(frames)).run(mouse=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
