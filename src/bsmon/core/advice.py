"""What the advisor says, as data: the tree with its live numbers, and one recommendation."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Answer(StrEnum):
    """A node's answer. UNKNOWN is an answer: the rule abstains and says what is missing."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Reading:
    """A live number at a node, beside the threshold it is held against.

    `unit` is one of "", "%", "bytes", "s", "samples/s", "x", "z"; `comparison` one of "", "<", "<=", ">", ">=" and
    says when the answer is yes: value comparison threshold.
    """

    label: str
    value: float | None
    unit: str = ""
    comparison: str = ""
    threshold: float | None = None


@dataclass(frozen=True, slots=True)
class TreeNode:
    """One question of the guidelines' decision tree. `lit`: it lies on the path that was taken."""

    id: str
    question: str
    answer: Answer
    readings: tuple[Reading, ...]
    verdict: str  # what the branch taken says, a few words
    lit: bool
    depth: int  # 0 for the five questions, 1 for a question under one of them
    source: str  # document and section, e.g. "C part 10"
    explanation: str = ""  # the guidelines' reasoning, shown on request


class Action(StrEnum):
    """What a recommendation asks for."""

    KEEP = "keep"
    BATCH = "batch"  # another batch size (with its learning rate)
    LEARNING_RATE = "learning_rate"
    MICRO_BATCH = "micro_batch"
    NONE = "none"  # something that no key does: more workers, another normalisation, regularisation


class Certainty(StrEnum):
    """How sure the recommendation is, with `Advice.certainty_reason` saying why."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the advisor expects after the change; scored later against what was measured."""

    peak_bytes: int | None = None
    samples_per_second: float | None = None
    statistical_efficiency: float | None = None  # 0..1, progress per sample against a tiny batch
    relative_time: float | None = None  # time to the same progress, now = 1
    is_bound: bool = False  # by a lower bound of the noise scale: efficiency at least that, time at most that


@dataclass(frozen=True, slots=True)
class Advice:
    """One recommendation. Sizes and rates are equal before and after where the action leaves them alone."""

    action: Action
    title: str  # a few words: "Larger batch", "Keep 32", "Lower the learning rate"
    why: str  # one sentence
    node: str  # id of the TreeNode it comes from
    source: str
    batch_size: int
    new_batch_size: int
    learning_rate: float
    new_learning_rate: float
    micro_batch_size: int | None = None
    new_micro_batch_size: int | None = None
    accumulation_steps: int | None = None
    new_accumulation_steps: int | None = None
    learning_rate_rule: str = "unchanged"
    certainty: Certainty = Certainty.LOW
    certainty_reason: str = ""
    prediction: Prediction = Prediction()
    changes_mind: str = ""  # what would make the advisor say something else
    trade_off: str = ""  # what the recommended size buys and costs


@dataclass(frozen=True, slots=True)
class Score:
    """How the advice so far turned out: |predicted - measured| / measured, the median over applied changes."""

    applied: int = 0
    reverted: int = 0
    memory_error: float | None = None
    samples_per_second_error: float | None = None
    progress_error: float | None = None  # progress per second, from the slope of the loss


@dataclass(frozen=True, slots=True)
class NoiseScale:
    """The gradient noise scale with its 90 % interval; `high` None = unbounded ("at least `low`").

    All None: not known yet, `reason` says why. `estimator`: "ranks", "micro-batches", "split" or "consecutive" (biased
    high).
    """

    value: float | None = None
    low: float | None = None
    high: float | None = None
    probes: int = 0
    estimator: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Box:
    """A box of the guidelines' checklist (C, part 11). `outcome`: "ok", "warning", "problem" or "unknown"."""

    title: str
    outcome: str
    found: str
    change: str  # what to do; "" where there is nothing
    source: str


@dataclass(frozen=True, slots=True)
class AdvisorView:
    """The advisor's whole state as a front end shows it."""

    tree: tuple[TreeNode, ...] = ()
    advice: Advice | None = None
    score: Score = Score()
    noise_scale: NoiseScale = NoiseScale()
    checklist: tuple[Box, ...] = ()
    dismissed_until: str = ""  # when a dismissed recommendation comes back, a sentence; "" = not dismissed
