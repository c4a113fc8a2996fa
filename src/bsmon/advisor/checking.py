"""What is checked, and what a check comes back with."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from bsmon.advisor.health import Health
from bsmon.core.commands import LearningRateRule


@dataclass(frozen=True, slots=True)
class Setup:
    """A training setup, as far as it is known; None is unknown. The last part is known once training runs."""

    dataset_size: int | None = None
    batch_size: int | None = None
    micro_batch_size: int | None = None  # None: as large as the batch
    learning_rate: float | None = None
    optimizer: str | None = None  # class name
    domain: str | None = None  # "images", "text", "other"
    memory_bytes: int | None = None  # of the GPU
    memory_measured: bool | None = None  # whether a measured forecast says that the batch fits; outranks memory_bytes
    has_batchnorm: bool | None = None
    shuffle: bool | None = None
    weighted_sampler: bool = False  # draws at random, which shuffles
    drop_last: bool | None = None
    eval_batch_size: int | None = None
    eval_mode: bool | None = None  # validation uses running statistics
    learning_rate_rule: LearningRateRule | None = None
    base_batch_size: int | None = None  # where the learning rate was tuned before, if it was
    base_learning_rate: float | None = None
    weight_decay: float | None = None
    dropout: float | None = None

    health: Health = field(default_factory=Health)
    gradient_norms_usual: bool | None = None
    sizes_run: int | None = None  # how many batch sizes were tried


class Outcome(StrEnum):
    """How a check went. UNKNOWN: something it needs is not known."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Verdict:
    """An outcome, what was found, and what to change (empty where nothing is to be)."""

    outcome: Outcome
    found: str
    change: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the report."""

    id: str
    title: str
    outcome: Outcome
    found: str
    change: str
    source: str


def ok(found: str) -> Verdict:
    """Nothing to change."""
    return Verdict(Outcome.OK, found)


def warning(found: str, change: str) -> Verdict:
    """Against a rule of thumb."""
    return Verdict(Outcome.WARNING, found, change)


def problem(found: str, change: str) -> Verdict:
    """Training will suffer or fail."""
    return Verdict(Outcome.PROBLEM, found, change)


def unknown(missing: str) -> Verdict:
    """Says what is missing."""
    return Verdict(Outcome.UNKNOWN, f"needs {missing}")
