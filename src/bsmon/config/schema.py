"""The whole config file as one value. The sections' fields are in run_sections.py and task_sections.py.

The loader, `bsmon init`, docs/configuration.md and the error messages all read these classes, so that a new section or
built-in is added here and nowhere else.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from bsmon.config.base import Section, TargetSection
from bsmon.config.run_sections import (
    DEFAULT_EPOCHS,
    Advisor,
    Batch,
    Checkpoint,
    Memory,
    Run,
    Schedule,
    Telemetry,
    Train,
    Ui,
)
from bsmon.config.task_sections import (
    CatsVsDogsData,
    CharTransformerModel,
    CnnModel,
    DataSection,
    DataTarget,
    DigitsData,
    Domain,
    LongTailData,
    MlpModel,
    ModelSection,
    NamedLoss,
    NpzData,
    Optimizer,
    TextData,
)

__all__ = [
    "DEFAULT_EPOCHS",
    "Advisor",
    "Batch",
    "CatsVsDogsData",
    "CharTransformerModel",
    "Checkpoint",
    "CnnModel",
    "Config",
    "DataSection",
    "DataTarget",
    "DigitsData",
    "LongTailData",
    "Memory",
    "MlpModel",
    "ModelSection",
    "NamedLoss",
    "NpzData",
    "Optimizer",
    "Run",
    "Schedule",
    "Section",
    "TargetSection",
    "Telemetry",
    "TextData",
    "Train",
    "Ui",
]


class Config(Struct, frozen=True, kw_only=True):
    """A whole config file, checked. `path` is the file it was read from; "" for one that was built in code."""

    data: Annotated[
        DataSection | DataTarget, Meta(description="What to train on: a built-in task, or a target of your own.")
    ]
    model: Annotated[
        ModelSection | TargetSection, Meta(description="What to train: a built-in model, or a target of your own.")
    ]
    loss: Annotated[
        NamedLoss | TargetSection, Meta(description="What to make small: a built-in loss, or a target of your own.")
    ] = NamedLoss()
    optimizer: Optimizer = Optimizer()
    run: Run = Run()
    schedule: Schedule = Schedule()
    batch: Batch = Batch()
    train: Train = Train()
    advisor: Advisor = Advisor()
    telemetry: Telemetry = Telemetry()
    checkpoint: Checkpoint = Checkpoint()
    memory: Memory = Memory()
    ui: Ui = Ui()
    path: str = ""

    @property
    def domain(self) -> Domain:
        """What the samples are ("images", "text" or "other"); None where nobody said."""
        return self.data.domain
