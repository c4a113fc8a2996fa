"""One update of the weights: forward and backward for each micro batch, then the optimizer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from bsmon.engine.batches import Batch, to_device
from bsmon.engine.device import autocast
from bsmon.engine.tasks.objective import Objective
from bsmon.engine.watch import Watch


@dataclass(slots=True)
class Updater:
    """Everything that one update needs."""

    model: torch.nn.Module
    objective: Objective
    optimizer: torch.optim.Optimizer
    device: torch.device
    precision: str
    scaler: torch.amp.GradScaler | None
    grad_clip: float | None
    watch: Watch

    def update(self, step: int, micro_batches: Sequence[Batch], sizes: Sequence[int], learning_rate: float) -> Tensor:
        """Make one update and return its loss: a scalar on the device, the mean over all samples of the update.

        Each micro batch weighs by its samples, so that the gradient is that of one large batch, uneven or not.
        """
        self.watch.begin(step, sizes)
        self.optimizer.zero_grad(set_to_none=True)
        loss = self._accumulate(micro_batches, sizes)
        self._apply()
        self.watch.updated(learning_rate)
        return loss

    def _accumulate(self, micro_batches: Sequence[Batch], sizes: Sequence[int]) -> Tensor:
        rows = sum(sizes)
        total: Tensor | None = None
        for index, (micro_batch, size) in enumerate(zip(micro_batches, sizes, strict=True)):
            with autocast(self.device, self.precision):
                loss, _ = self.objective(self.model, to_device(micro_batch, self.device))
            if size != rows:
                loss = loss * (size / rows)
            (loss if self.scaler is None else self.scaler.scale(loss)).backward()
            self.watch.backward_done(index)
            total = loss.detach() if total is None else total + loss.detach()
        assert total is not None, "an update has at least one micro batch"
        return total

    def _apply(self) -> None:
        if self.scaler is not None:
            self.scaler.unscale_(self.optimizer)
        norm = None
        if self.grad_clip is not None:
            # The norm before clipping decides the factor, and is what is shown.
            parameters = [p for group in self.optimizer.param_groups for p in group["params"] if p.grad is not None]
            norm = torch.nn.utils.get_total_norm([p.grad for p in parameters])
            self.watch.gradients_ready(norm)
            torch.nn.utils.clip_grads_with_norm_(parameters, self.grad_clip, norm)
        else:
            self.watch.gradients_ready(None)
        if self.scaler is None:
            self.optimizer.step()
            return
        self.scaler.step(self.optimizer)
        self.scaler.update()
