"""A short training of a config's task that nobody keeps: no run folder, no checkpoint, no commands, no advisor."""

from __future__ import annotations

import copy

from torch import Tensor

from bsmon.core.errors import BadInput
from bsmon.engine.assemble import make_feed, make_updater
from bsmon.engine.build import Parts, seed_everything
from bsmon.engine.feed import load_batch
from bsmon.engine.plan import BatchPlan
from bsmon.engine.watch import NoTimer, NoWatch, Watch


class Trial:
    """Trains at one batch size after another, each from the very start: same weights, same order of samples.

    The data are built once for all of them. Close it, so that worker processes end.
    """

    def __init__(self, parts: Parts, watch: Watch | None = None) -> None:
        """`parts` as `build` made them; they are this trial's from now on."""
        self.parts = parts
        self.samples = parts.info.train_samples or 0
        self._updater = make_updater(parts, watch or NoWatch(), NoTimer())
        self._feed = make_feed(parts)
        scaler = None if parts.scaler is None else parts.scaler.state_dict()
        self._start = copy.deepcopy((parts.model.state_dict(), parts.optimizer.state_dict(), scaler))
        self._plan = BatchPlan(1, 1)
        self.step = 0

    def begin(self, batch_size: int) -> None:
        """Go back to the start, to train with this batch size. Raises BadInput for more than there are samples."""
        self.resize(batch_size)
        parts = self.parts
        model, optimizer, scaler = copy.deepcopy(self._start)
        parts.model.load_state_dict(model)
        parts.optimizer.load_state_dict(optimizer)
        if parts.scaler is not None and scaler is not None:
            parts.scaler.load_state_dict(scaler)
        parts.cursor.restore({"epoch": 1, "position": 0, "consumed": 0})
        seed_everything(parts.config.run.seed)
        self.step = 0

    def resize(self, batch_size: int) -> None:
        """Go on with another batch size. Raises BadInput for more than there are samples."""
        if batch_size > self.samples:
            where = f"{self.parts.config.path}: " if self.parts.config.path else ""
            raise BadInput(f"{where}a batch of {batch_size:,} is more than the {self.samples:,} training samples")
        own = self.parts.config.batch.micro_batch_size
        self._plan = BatchPlan.within(batch_size, batch_size if own == "auto" else own)

    def update(self, learning_rate: float) -> Tensor:
        """One update of the weights; its loss, a scalar on the device, as it was before the update."""
        cursor, plan = self.parts.cursor, self._plan
        micro_batches = self._feed.take(cursor, plan)
        while not micro_batches:
            cursor.next_epoch()
            micro_batches = self._feed.take(cursor, plan)
        count = cursor.next_size(plan.batch_size)
        for group in self.parts.optimizer.param_groups:
            group["lr"] = learning_rate
        self.step += 1
        loss = self._updater.gradients(self.step, micro_batches, plan.micro_sizes(count))
        self._updater.weights()
        self._updater.settle(learning_rate)
        cursor.advance(count)
        return loss

    def gradients(self, indices: Tensor) -> None:
        """Gradients of these samples at the present weights, for the watch to see; nothing is updated.

        Shape of `indices`: (rows,). The model runs in training mode, so BatchNorm's statistics move.
        """
        sizes = self._plan.micro_sizes(len(indices))
        micro_batches = [load_batch(self.parts.data.train, part) for part in indices.split(sizes)]
        self._updater.gradients(self.step, micro_batches, sizes)
        self._updater.forget()

    def close(self) -> None:
        """Let go of worker processes."""
        self._feed.close()
