"""What rank 0 tells the other ranks, and what they answer. Every order but `Proceed` and `Stop` is answered once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from bsmon.config.schema import Config
from bsmon.engine.plan import BatchPlan
from bsmon.engine.ranks.likeness import Likeness

Present = tuple[bool, ...] | None
"""Which weights a gradient reached, in the model's order; None: all of them."""

TroubleKind = Literal["memory", "input", "error"]


@dataclass(frozen=True, slots=True)
class Begin:
    """The first order: build this training, then `Proceed` to meet the others at `store`, a file.

    `likeness`: what rank 0 has built.
    """

    config: Config
    rank: int
    store: str
    likeness: Likeness


@dataclass(frozen=True, slots=True)
class MakeGradients:
    """Gradients of this rank's share of the update `step`, whose `rows` samples begin at `place`.

    In micro batches of at most `largest`. The same step and place again: the same samples again. `measure`: also the
    squared norm of the share's gradient.
    """

    step: int
    place: Mapping[str, int]  # as SampleCursor.state has it
    rows: int
    plan: BatchPlan
    largest: int
    measure: bool


@dataclass(frozen=True, slots=True)
class Rehearse:
    """Gradients of the first samples, whichever they are, in micro batches of these sizes; no update follows."""

    sizes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Proceed:
    """Every rank is ready: begin what all of them do together. `present`: the weights that any gradient reached."""

    present: Present = None


@dataclass(frozen=True, slots=True)
class StepWeights:
    """Let the optimizer step, at this learning rate."""

    learning_rate: float


@dataclass(frozen=True, slots=True)
class TakeState:
    """Rank 0's state is yours from now on; `outline` as `state.outline` makes it. Its tensors follow, all ranks ready.

    Answered twice: when there is room for it, and when it is in place.
    """

    outline: object


@dataclass(frozen=True, slots=True)
class Stop:
    """The run is over."""


Order = Begin | MakeGradients | Rehearse | Proceed | StepWeights | TakeState | Stop


@dataclass(frozen=True, slots=True)
class Ready:
    """Done, or ready to proceed."""

    present: Present = None


@dataclass(frozen=True, slots=True)
class Trouble:
    """It did not work. `text`: kind and first line of the error; `traceback`: all of it."""

    kind: TroubleKind
    text: str
    traceback: str


Answer = Ready | Trouble
