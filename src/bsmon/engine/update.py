"""One update of the weights: gradients over the micro batches, then the optimizer."""

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
    """Everything that one update needs. An update is `gradients`, `weights`, `settle`; the first two can be made again."""

    model: torch.nn.Module
    objective: Objective
    optimizer: torch.optim.Optimizer
    device: torch.device
    precision: str
    scaler: torch.amp.GradScaler | None
    grad_clip: float | None
    watch: Watch

    def gradients(self, step: int, micro_batches: Sequence[Batch], sizes: Sequence[int]) -> Tensor:
        """Forward and backward over all micro batches, then unscale and clip; no weight changes.

        Returns the loss: a scalar on the device, the mean over all samples of the update. Each micro batch weighs by
        its samples, so that the gradient is that of one large batch, uneven or not.
        """
        self.watch.begin(step, sizes)
        self.optimizer.zero_grad(set_to_none=True)
        loss = self._accumulate(micro_batches, sizes)
        self._finish_gradients()
        return loss

    def weights(self) -> None:
        """Let the optimizer step, and nothing else: this part is made again when memory runs out in it."""
        if self.scaler is None:
            self.optimizer.step()
        else:
            self.scaler.step(self.optimizer)

    def settle(self, learning_rate: float) -> None:
        """What follows a step that was made: the next loss scale, and the watch's last look."""
        if self.scaler is not None:
            self.scaler.update()
        self.watch.updated(learning_rate)

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

    def _finish_gradients(self) -> None:
        if self.scaler is not None:
            self.scaler.unscale_(self.optimizer)
        if self.grad_clip is None:
            self.watch.gradients_ready(None)
            return
        # The norm before clipping decides the factor, and is what is shown.
        parameters = [p for group in self.optimizer.param_groups for p in group["params"] if p.grad is not None]
        norm = torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
        self.watch.gradients_ready(norm)
        torch.nn.utils.clip_grads_with_norm_(parameters, self.grad_clip, norm)
