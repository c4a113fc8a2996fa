"""The loss over the validation set."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from bsmon.engine.batches import to_device
from bsmon.engine.device import autocast
from bsmon.engine.feed import load_batch
from bsmon.engine.tasks.objective import Objective


@torch.no_grad()
def evaluate(
    model: torch.nn.Module,
    objective: Objective,
    dataset: Dataset[Any],
    indices: Tensor,
    *,
    batch_size: int,
    device: torch.device,
    precision: str,
    interrupted: Callable[[], bool],
) -> tuple[float, float | None, float] | None:
    """Mean loss, accuracy (None without classes) and seconds over these samples of `dataset`; None when interrupted.

    In eval mode, so BatchNorm uses its running statistics and the batch size changes no result (guidelines C, part
    10, mistake 4). The losses stay on the device until the end: one wait, not one a batch.
    """
    begin = time.perf_counter()
    total = torch.zeros((), device=device, dtype=torch.float64 if device.type != "mps" else torch.float32)
    correct: list[Tensor] = []
    counted = 0
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        for part in indices.split(batch_size):
            if interrupted():
                return None
            batch = to_device(load_batch(dataset, part), device)
            with autocast(device, precision):
                loss, output = objective(model, batch)
            total += loss.to(total.dtype) * len(part)
            right = objective.correct(output, batch)
            if right is not None:
                correct.append(right[0])
                counted += right[1]
    finally:
        # Not simply train(): a person may keep some layers in eval mode.
        for module, training in modes:
            module.training = training
    accuracy = float(torch.stack(correct).sum()) / counted if counted else None
    return float(total) / len(indices), accuracy, time.perf_counter() - begin
