"""Objectives over data that is not there, and a model that gives what it is told to."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import nn

from bsmon.config.schema import Config, DataTarget, DigitsData, MlpModel, NamedLoss
from bsmon.engine.tasks.objective import Objective, build_objective
from bsmon.engine.tasks.task import Kind, TaskData, TensorBatches

Name = Literal["auto", "cross-entropy", "mse", "l1", "bce", "model"]


def task(kind: Kind = "own", outputs: int | None = None) -> TaskData:
    return TaskData(
        name="mine",
        train=TensorBatches(torch.zeros(1)),
        validation=None,
        kind=kind,
        input_shape=(1,),
        outputs=outputs,
        domain="other",
        description="",
    )


def built(name: Name, kind: Kind = "own", outputs: int | None = None, smoothing: float = 0.0) -> Objective:
    own = kind == "own"
    data = DataTarget(target="mine:data") if own else DigitsData()
    loss = NamedLoss(name=name, label_smoothing=smoothing)
    return build_objective(Config(data=data, model=MlpModel(), loss=loss), task(kind, outputs))


class Fixed(nn.Module):
    """Gives the same output whatever it is called with, and remembers that."""

    def __init__(self, output: Any) -> None:
        super().__init__()
        self.output = output
        self.called: Any = None

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        self.called = (args, kwargs)
        return self.output


SCORES = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))


CLASSES = torch.tensor([0, 2, 1, 2])
