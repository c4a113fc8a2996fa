"""Configs over this folder's targets, and measurements of every step, however short the steps are."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from bsmon.config.schema import (
    Advisor,
    Batch,
    Checkpoint,
    Config,
    DataTarget,
    NamedLoss,
    Optimizer,
    Run,
    TargetSection,
    Telemetry,
    Train,
)
from bsmon.telemetry.budget import Schedule

HERE = "tests.unit.measurements.targets"


def config_for(
    model: str = "Net",
    *,
    data: str = "rows",
    batch: int = 32,
    micro: int | None = None,
    epochs: int = 4,
    precision: str = "fp32",
    optimizer: str = "SGD",
    loss: str = "auto",
    telemetry: dict[str, Any] | None = None,
    advisor: Literal["off", "advise"] = "off",
    **train: Any,
) -> Config:
    """A run of a few updates; 70 samples make an epoch of two whole updates of 32 and a short one."""
    arguments: dict[str, object] = {"momentum": 0.9} if optimizer == "SGD" else {}
    return Config(
        data=DataTarget(target=f"{HERE}:{data}"),
        model=TargetSection(target=f"{HERE}:{model}"),
        loss=NamedLoss(name=loss),  # type: ignore[arg-type]  # a literal to the checker
        optimizer=Optimizer(name=optimizer, lr=0.05, arguments=arguments),
        run=Run(seed=3, epochs=epochs, device="cpu", threads=1, precision=precision),  # type: ignore[arg-type]  # same
        batch=Batch(size=batch, micro_batch_size=micro or batch),
        train=Train(**{"eval_every": "never", **train}),
        advisor=Advisor(mode=advisor),
        telemetry=Telemetry(**{"budget": 1.0, **(telemetry or {})}),
        checkpoint=Checkpoint(every_s=1e6),
    )


def measure_always(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Schedule, "is_earned", lambda *_: True)
    patch.setattr(Schedule, "is_due", lambda *_: True)
