"""What a person (or the advisor) may ask of a running training. Each takes effect at a step boundary."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class LearningRateRule(StrEnum):
    """How the learning rate follows a batch change. AUTO: gain where the noise scale is known, else by optimizer."""

    AUTO = "auto"
    UNCHANGED = "unchanged"
    LINEAR = "linear"
    SQRT = "sqrt"
    GAIN = "gain"


class Source(StrEnum):
    """Who asks."""

    PERSON = "person"
    ADVICE = "advice"  # the advisor's recommendation, applied by the person
    ADVISOR = "advisor"  # by itself, in mode auto
    ENGINE = "engine"


@dataclass(frozen=True, slots=True)
class SetBatchSize:
    """Train with this many samples per update from the next step boundary on."""

    batch_size: int
    learning_rate_rule: LearningRateRule | None = None  # None: the run's own rule
    learning_rate: float | None = None  # a value of the person's own; outranks the rule
    source: Source = Source.PERSON
    # Of a recorded run, made again: it was judged then, and is not put on probation.
    repeated: bool = False
    base_learning_rate: float | None = None  # the schedule's value at factor 1 as it was then, to the last bit


@dataclass(frozen=True, slots=True)
class ScaleBatchSize:
    """Multiply the batch size that stands when the command is taken: 2.0 doubles, 0.5 halves (rounded down)."""

    factor: float
    learning_rate_rule: LearningRateRule | None = None
    source: Source = Source.PERSON


@dataclass(frozen=True, slots=True)
class SetMicroBatchSize:
    """Samples per forward pass; None lets the engine choose."""

    micro_batch_size: int | None
    source: Source = Source.PERSON


@dataclass(frozen=True, slots=True)
class SetLearningRate:
    """The learning rate from the next step on; the schedule's shape goes on from there."""

    learning_rate: float
    source: Source = Source.PERSON


@dataclass(frozen=True, slots=True)
class Pause:
    """Hold before the next step."""


@dataclass(frozen=True, slots=True)
class Resume:
    """Go on after a pause."""


@dataclass(frozen=True, slots=True)
class Evaluate:
    """Run the validation set now."""


@dataclass(frozen=True, slots=True)
class Save:
    """Write a checkpoint now."""


@dataclass(frozen=True, slots=True)
class Undo:
    """Take back the last batch change; `weights`: put the weights back to what they were at that change, too."""

    weights: bool = False


@dataclass(frozen=True, slots=True)
class Release:
    """Let the advisor change again what was set by hand."""


@dataclass(frozen=True, slots=True)
class Stop:
    """End the run at the next step boundary, or after this epoch; `save` writes a checkpoint before the end."""

    after_epoch: bool = False
    save: bool = True


@dataclass(frozen=True, slots=True)
class Forecast:
    """Predict the peak memory of these batch sizes; the answers come in `Snapshot.forecasts`, one after the other."""

    batch_sizes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class WatchLayers:
    """Measure every layer's gradient while somebody looks at the table, or no longer. The session does it."""

    wanted: bool


@dataclass(frozen=True, slots=True)
class ApplyAdvice:
    """Do what the recommendation on the screen says. The session turns it into the command it stands for."""


@dataclass(frozen=True, slots=True)
class DismissAdvice:
    """Not now."""


Command = (
    SetBatchSize
    | ScaleBatchSize
    | SetMicroBatchSize
    | SetLearningRate
    | Pause
    | Resume
    | Evaluate
    | Save
    | Undo
    | Release
    | Stop
    | Forecast
    | WatchLayers
    | ApplyAdvice
    | DismissAdvice
)


@dataclass(frozen=True, slots=True)
class Scripted:
    """A command of a recorded run, to be given again once so many updates are made."""

    step: int
    command: Command
