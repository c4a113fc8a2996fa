"""One update of the weights: gradients over the micro batches, then the optimizer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from bsmon.engine.batches import Batch, to_device
from bsmon.engine.compiled import mark_batch_dynamic
from bsmon.engine.device import autocast
from bsmon.engine.tasks.objective import Objective
from bsmon.engine.watch import NoTimer, NoWatch, Timer, Watch


@dataclass(slots=True)
class Updater:
    """Everything that one update needs: `gradients`, `weights`, `settle`. The first two can be made again."""

    model: torch.nn.Module
    objective: Objective
    optimizer: torch.optim.Optimizer
    device: torch.device
    precision: str
    scaler: torch.amp.GradScaler | None
    grad_clip: float | None
    watch: Watch
    timer: Timer
    dynamic: bool = False  # the model is compiled, for any number of rows

    def gradients(self, step: int, micro_batches: Sequence[Batch], sizes: Sequence[int]) -> Tensor:
        """Forward and backward over all micro batches, then unscale and clip; no weight changes.

        Returns the loss: a scalar on the device, the mean over all samples of the update. Each micro batch weighs by
        its samples, so that the gradient is that of one large batch, uneven or not.
        """
        self.timer.mark("telemetry")
        self.watch.begin(step, sizes)
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.accumulate(micro_batches, sizes, sum(sizes))
        self.finish_gradients()
        return loss

    def weights(self) -> None:
        """Let the optimizer step, and nothing else: this part is made again when memory runs out in it."""
        self.timer.mark("optimizer")
        if self.scaler is None:
            self.optimizer.step()
        else:
            self.scaler.step(self.optimizer)

    def settle(self, learning_rate: float) -> None:
        """What follows a step that was made: the next loss scale, and the watch's last look."""
        if self.scaler is not None:
            self.scaler.update()
        self.timer.mark("telemetry")
        self.watch.updated(learning_rate)
        self.timer.end_step()

    def forget(self) -> None:
        """Drop gradients that no step will follow."""
        self.optimizer.zero_grad(set_to_none=True)
        if self.scaler is not None:
            # The same scale again; also forgets that these gradients were unscaled already.
            self.scaler.update(self.scaler.get_scale())

    def unwatched(self) -> Updater:
        """One that makes the same passes, for trying something out: nothing looks at them, and nothing is clipped."""
        return replace(self, grad_clip=None, watch=NoWatch(), timer=NoTimer())

    def accumulate(self, micro_batches: Sequence[Batch], sizes: Sequence[int], rows: int) -> Tensor:
        """Add the gradients of these micro batches to `.grad`, each weighted by its share of an update's `rows`.

        Returns their part of the loss: the mean over `rows` samples where these are all of them; 0 for none.
        """
        total: Tensor | None = None
        for index, (micro_batch, size) in enumerate(zip(micro_batches, sizes, strict=True)):
            self.timer.mark("host_to_device")
            batch = to_device(micro_batch, self.device)
            self.timer.mark("forward")
            if self.dynamic:
                mark_batch_dynamic(batch)
            with autocast(self.device, self.precision):
                loss, _ = self.objective(self.model, batch)
            if size != rows:
                loss = loss * (size / rows)
            self.timer.mark("backward")
            (loss if self.scaler is None else self.scaler.scale(loss)).backward()
            self.watch.backward_done(index)
            total = loss.detach() if total is None else total + loss.detach()
        return torch.zeros((), device=self.device) if total is None else total

    def finish_gradients(self) -> None:
        """Unscale and clip the gradients, once all of the update's are there."""
        self.timer.mark("telemetry")
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
