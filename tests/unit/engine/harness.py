"""Runs of the real engine on the calling thread, with a scripted person and an observer that remembers."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

from bsmon.config.schema import Batch, Checkpoint, Config, DataTarget, Optimizer, Run, TargetSection, Train
from bsmon.core.commands import Command, LearningRateRule, Pause, Resume
from bsmon.core.gradients import Measurement
from bsmon.core.records import Evaluation, EventKind, Level, Step
from bsmon.core.snapshot import BatchState, Failure, MemoryForecast, RunInfo, RunState
from bsmon.engine.build import Parts
from bsmon.engine.run import Surroundings, run
from bsmon.engine.watch import NoTimer, NoWatch, Timer, Watch

HERE = "tests.unit.engine.index_task"
Due = tuple[int, Command]
"""(updates made, command): given to the engine at the step boundary after that many updates."""


@dataclass(frozen=True)
class Said:
    """An event."""

    kind: EventKind
    level: Level
    text: str
    step: int
    data: Mapping[str, Any]


@dataclass
class Recorder:
    """An observer that remembers. Steps that a rewind took back are forgotten, as a front end forgets them."""

    steps_made: list[Step] = field(default_factory=list)
    events: list[Said] = field(default_factory=list)
    batches: list[BatchState] = field(default_factory=list)
    states: list[RunState] = field(default_factory=list)
    evaluations: list[Evaluation] = field(default_factory=list)
    measurements: list[Measurement] = field(default_factory=list)
    rewinds: list[int] = field(default_factory=list)
    fences: tuple[int, ...] = ()
    forecasts: tuple[MemoryForecast, ...] = ()
    failure: Failure | None = None
    info: RunInfo | None = None
    on_rewind: Callable[[int], None] = lambda step: None

    def steps(self, records: Sequence[Step]) -> None:
        self.steps_made += records

    def measured(self, measurement: Measurement) -> None:
        self.measurements.append(measurement)

    def evaluation(self, record: Evaluation) -> None:
        self.evaluations.append(record)

    def state(self, state: RunState, waiting_for: str = "") -> None:
        self.states.append(state)

    def run_info(self, info: RunInfo) -> None:
        self.info = info

    def batch(self, state: BatchState) -> None:
        self.batches.append(state)

    def event(self, kind: EventKind, level: Level, text: str, step: int, **data: float | int | str | None) -> None:
        self.events.append(Said(kind, level, text, step, data))

    def memory(self, forecasts: tuple[MemoryForecast, ...], fences: tuple[int, ...], measured_peak: int | None) -> None:
        self.forecasts, self.fences = forecasts, fences

    def rewound(self, step: int) -> None:
        self.rewinds.append(step)
        self.steps_made = [record for record in self.steps_made if record.step <= step]
        self.on_rewind(step)

    def failed(self, failure: Failure) -> None:
        self.failure = failure

    def texts(self, kind: EventKind) -> list[str]:
        return [event.text for event in self.events if event.kind is kind]


@dataclass(frozen=True)
class Update:
    """An update that was made, of these samples; `position`: samples of the epoch before it."""

    epoch: int
    position: int
    samples: list[int]


class Spy(NoWatch):
    """Notes which samples each update was made of. Part of a run through `play`, which gives it `parts`."""

    def __init__(self) -> None:
        self.step = 0
        self.attempt = 0
        self.made: dict[int, Update] = {}
        self.seen: list[int] = []  # the model's own list
        self.parts: Parts | None = None

    def begin(self, step: int, micro_sizes: Sequence[int]) -> None:
        self.attempt = step
        self.seen.clear()

    def updated(self, learning_rate: float) -> None:
        assert self.parts is not None
        self.step, cursor = self.attempt, self.parts.cursor
        self.made[self.step] = Update(cursor.epoch, cursor.position, list(self.seen))

    def rewound(self, step: int) -> None:
        self.step = step
        self.made = {made: update for made, update in self.made.items() if made <= step}


class Script:
    """A mailbox whose commands arrive when so many updates are made. A paused run gets the next command, or Resume."""

    def __init__(self, commands: Sequence[Due], spy: Spy) -> None:
        self._waiting = deque(sorted(commands, key=lambda due: due[0]))
        self._spy = spy
        self._early = 0

    def take(self) -> Command | None:
        if not self._waiting or self._waiting[0][0] > max(self._spy.step, self._early):
            return None
        return self._waiting.popleft()[1]

    def find(self, kind: type[Command]) -> Command | None:
        due = [command for step, command in self._waiting if step <= self._spy.step]
        return next((command for command in due if isinstance(command, kind)), None)

    def wait(self, timeout_s: float) -> None:
        if not self._waiting:
            self._waiting.append((0, Resume()))
        self._early = self._waiting[0][0]


@dataclass
class Played:
    """A run that is over."""

    recorder: Recorder
    spy: Spy
    parts: Parts

    @property
    def last_step(self) -> int:
        return self.recorder.steps_made[-1].step if self.recorder.steps_made else 0

    def state(self) -> dict[str, Any]:
        """Copies of all that the next update would depend on, but for the place in the data."""
        return {
            "model": {name: tensor.clone() for name, tensor in self.parts.model.state_dict().items()},
            "optimizer": self.parts.optimizer.state_dict()["state"],
            "random": torch.get_rng_state(),
        }


def play(
    config: Config,
    folder: Path,
    commands: Sequence[Due] = (),
    *,
    spy: Spy | None = None,
    watch: Callable[[Parts, Spy], Watch] = lambda parts, spy: spy,
    resume: bool = False,
    changes: Mapping[str, tuple[str, str]] | None = None,
    fails: bool | None = False,
    forecasts: bool = False,
) -> Played:
    """Make a whole run. `fails`: whether it must fail, None where either will do; AssertionError where it is otherwise.

    `forecasts`: of memory, by fake steps; they take longer than all updates of a run as small as these.
    """
    spy = spy or Spy()
    recorder = Recorder(on_rewind=spy.rewound)
    built: list[Parts] = []

    def make_watch(parts: Parts) -> tuple[Watch, Timer]:
        built.append(parts)
        spy.parts, spy.seen = parts, getattr(parts.model, "seen", [])
        return watch(parts, spy), NoTimer()

    folder.mkdir(parents=True, exist_ok=True)
    around = Surroundings(
        observer=recorder,
        mailbox=Script(commands, spy),
        scale=linear,
        make_watch=make_watch,
        checkpoints=folder,
        resume=resume,
        changes=changes or {},
    )
    with patch("bsmon.engine.forecast.FAKE_TENSORS", forecasts):
        run(config, around)
    assert fails in (None, recorder.failure is not None), recorder.failure and recorder.failure.traceback
    return Played(recorder, spy, built[0])


def linear(rule: LearningRateRule, old: int, new: int) -> tuple[float, LearningRateRule]:
    """The learning rate follows the batch size in proportion."""
    return (1.0, rule) if rule is LearningRateRule.UNCHANGED else (new / old, LearningRateRule.LINEAR)


def config_for(
    data: str = "rows",
    model: str = "seen",
    samples: int = 24,
    *,
    batch: int = 4,
    micro: int | None = None,
    epochs: int = 2,
    lr: float = 0.01,
    optimizer: str = "SGD",
    arguments: Mapping[str, object] | None = None,
    train: Mapping[str, Any] | None = None,
    seed: int = 3,
    run_settings: Mapping[str, Any] | None = None,
    **sections: Any,
) -> Config:
    """A config over this folder's targets; `micro` is given by default, so that no forecast is made."""
    return Config(
        data=DataTarget(target=f"{HERE}:{data}", arguments={"samples": samples}),
        model=TargetSection(target=f"{HERE}:{model}"),
        optimizer=Optimizer(name=optimizer, lr=lr, arguments=dict(arguments or {})),
        run=Run(**{"seed": seed, "epochs": epochs, "device": "cpu", "threads": 1, **(run_settings or {})}),
        batch=Batch(size=batch, micro_batch_size=micro or batch),
        train=Train(**{"eval_every": "never", **(train or {})}),
        checkpoint=sections.pop("checkpoint", Checkpoint(every_s=1e6)),
        **sections,
    )


def pause(step: int) -> list[Due]:
    """Pause after so many updates, and go on."""
    return [(step, Pause()), (step, Resume())]


def same(one: Any, other: Any) -> bool:
    """Whether two nested states are equal bit by bit; NaN equals NaN."""
    if isinstance(one, torch.Tensor):
        return isinstance(other, torch.Tensor) and one.dtype == other.dtype and _bits(one) == _bits(other)
    if isinstance(one, Mapping):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return bool(one == other)


def _bits(tensor: torch.Tensor) -> bytes:
    return tensor.detach().contiguous().numpy().tobytes()
