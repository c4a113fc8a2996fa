"""What a report tells beyond the last snapshot: gathered in one pass over what happened."""

from __future__ import annotations

from dataclasses import dataclass, field

from bsmon.core.advice import Advice
from bsmon.core.happenings import (
    Advised,
    Evaluated,
    Happening,
    HardwareRead,
    MemoryExpected,
    Moment,
    Noted,
    PlanSet,
    StepsMade,
)
from bsmon.core.records import Evaluation, EventKind, HardwareSample

_INTERVENTIONS = (EventKind.BATCH, EventKind.LEARNING_RATE, EventKind.REFUSED, EventKind.MEMORY)
_MOST_KEPT = 2000


@dataclass(slots=True)
class BatchStretch:
    """All that was trained at one batch size."""

    batch_size: int
    updates: int = 0
    samples: int = 0
    seconds: float = 0.0
    memory_bytes: int | None = None  # the most that tensors took in an update

    @property
    def samples_per_second(self) -> float | None:
        """None before the first update."""
        return self.samples / self.seconds if self.seconds > 0 else None


@dataclass(frozen=True, slots=True)
class NoisePoint:
    """The gradient noise scale as it was known at a step, in samples."""

    step: int
    value: float | None
    low: float | None
    high: float | None


@dataclass(slots=True)
class Story:
    """Feed it a journal's happenings in order with `take`."""

    noise: list[NoisePoint] = field(default_factory=list)
    stretches: dict[int, BatchStretch] = field(default_factory=dict)
    interventions: list[tuple[Moment, Noted]] = field(default_factory=list)
    advice: list[tuple[int, Advice]] = field(default_factory=list)  # (step, what was recommended from then on)
    best: Evaluation | None = None
    started: float | None = None  # seconds since 1970
    step: int = 0
    _batch_size: int = 0

    def take(self, moment: Moment, happening: Happening) -> None:
        """Take one in."""
        if self.started is None and moment.clock:
            self.started = moment.clock - moment.time_s
        match happening:
            case StepsMade():
                self._steps(happening)
            case PlanSet():
                self._batch_size = happening.state.batch_size
            case HardwareRead():
                self._memory(_memory_in_use(happening.sample))
            case MemoryExpected():
                self._memory(happening.measured_peak_bytes)
            case Evaluated():
                if self.best is None or happening.result.loss < self.best.loss:
                    self.best = happening.result
            case Advised():
                self._advised(happening)
            case Noted() if happening.kind in _INTERVENTIONS and len(self.interventions) < _MOST_KEPT:
                self.interventions.append((moment, happening))
            case _:
                pass

    def _steps(self, made: StepsMade) -> None:
        self.step = made.records[-1].step
        stretch = self._stretch()
        stretch.updates += len(made.records)
        stretch.samples += sum(step.batch_size for step in made.records)
        stretch.seconds += sum(step.duration_s for step in made.records)

    def _stretch(self) -> BatchStretch:
        return self.stretches.setdefault(self._batch_size, BatchStretch(self._batch_size))

    def _memory(self, used: int | None) -> None:
        if used is not None and self._batch_size in self.stretches:
            stretch = self._stretch()
            stretch.memory_bytes = max(used, stretch.memory_bytes or 0)

    def _advised(self, advised: Advised) -> None:
        view = advised.view
        noise = view.noise_scale
        if noise.low is not None or noise.value is not None:
            self.noise.append(NoisePoint(self.step, noise.value, noise.low, noise.high))
        advice = view.advice
        known = self.advice[-1][1] if self.advice else None
        if advice is not None and (known is None or _gist(known) != _gist(advice)) and len(self.advice) < _MOST_KEPT:
            self.advice.append((self.step, advice))


def _gist(advice: Advice) -> tuple[object, ...]:
    return advice.node, advice.action, advice.new_batch_size, advice.title


def _memory_in_use(sample: HardwareSample) -> int | None:
    """Torch's peak on a GPU. On a CPU the engine counts the tensors; the process's memory would be mostly libraries."""
    return sample.torch.peak_bytes if sample.torch is not None else None
