"""Which of the noise scale estimators measures, and when."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from bsmon.core.gradients import LEAST_NOISE_SAMPLES
from bsmon.telemetry.budget import Schedule
from bsmon.telemetry.cost import CostMeter
from bsmon.telemetry.noise_consecutive import CONSECUTIVE, ConsecutiveGradients
from bsmon.telemetry.noise_micro import MICRO_BATCHES, MicroBatchSplit
from bsmon.telemetry.noise_ranks import RANKS, RankSplit
from bsmon.telemetry.noise_split import SPLIT, SplitProbe
from bsmon.telemetry.parameters import Sample, norms
from bsmon.telemetry.part import Part

STRIDE = 10
"""Least steps between two measurements that cost an extra backward: closer ones tell hardly more."""

EARLY = LEAST_NOISE_SAMPLES + 4
"""So many measurements may come early: enough for a first estimate, and a few that may fail."""

MEMORY = 1.5
"""The split probe is off where less than this many times the training's peak is free."""


class NoiseProbe:
    """Measures towards the gradient noise scale, within a share of the step time.

    Several ranks: from each one's gradient. Accumulating: from the micro batches. Otherwise from an extra backward for
    half the batch. Where that cannot work: from two consecutive gradients, which is biased high. `estimator` is the one
    in use, `reason` why no better one is.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        parameters: Sequence[Tensor],
        sample: Sample,
        device: torch.device,
        *,
        share: float,
        left: Callable[[int], float] | None = None,
        ranks: int = 1,
    ) -> None:
        """`parameters` are the trainable ones, `sample` some elements of them; `share` 0..1 of the step time.

        `left`: from the number of an update that begins, how much of the planned run is still to come, 1..0. `ranks`:
        that share every update.
        """
        self._has_ranks = ranks > 1
        self._device = device
        self._parameters = tuple(parameters)
        self.meter = CostMeter(device)
        self.schedule = Schedule(share, early=EARLY, needed=LEAST_NOISE_SAMPLES)
        self._left = left
        self._micro = MicroBatchSplit(parameters, self.meter)
        self._split = SplitProbe(model, parameters, self.meter)
        self._ranks = RankSplit()
        self._consecutive = ConsecutiveGradients(sample)
        self._step = 0
        self._samples = 0
        self.is_armed = False
        self.estimator = ""
        self.reason = ""

    @property
    def too_short(self) -> str:
        """Where the planned run cannot pay for a first estimate: a sentence that says so; "" elsewhere."""
        pays_for = self.schedule.pays_for
        if pays_for is None or pays_for >= LEAST_NOISE_SAMPLES:
            return ""
        return f"the run is too short for more than {pays_for} of them within telemetry.budget"

    def is_earned(self, training_s: float) -> bool:
        """Whether `begin` may have something to do; a quick look for every step."""
        return self._consecutive.is_half_done or self.schedule.is_earned(training_s)

    def begin(self, step: int, micro_sizes: Sequence[int], training_s: float) -> None:
        """An update begins; arms the estimator where a measurement is due. With ranks, the sizes are their shares."""
        if not self._consecutive.is_half_done:
            self._choose(micro_sizes)
            if not self.schedule.is_due(step, training_s):
                return
            self.schedule.measured(step, training_s, None if self._left is None else self._left(step))
        self._step, self._samples = step, sum(micro_sizes)
        self.is_armed = True
        with self.meter:
            self._arm(micro_sizes)

    def _choose(self, micro_sizes: Sequence[int]) -> None:
        if self._has_ranks:
            shared = sum(size > 0 for size in micro_sizes) > 1
            self.estimator, self.reason = (RANKS, "") if shared else (CONSECUTIVE, "one rank has the whole batch")
        elif len(micro_sizes) > 1:
            self.estimator, self.reason = MICRO_BATCHES, ""
        elif micro_sizes[0] < 2:
            self.estimator, self.reason = CONSECUTIVE, "a batch of one sample has no halves"
        else:
            self.reason = self._split.reason
            self.estimator = CONSECUTIVE if self.reason else SPLIT
        self.schedule.min_stride = 1 if self.estimator in (RANKS, MICRO_BATCHES) else STRIDE

    def _arm(self, micro_sizes: Sequence[int]) -> None:
        if self.estimator == SPLIT and not has_room(self._device):
            self.estimator = CONSECUTIVE
            self.reason = f"less than {MEMORY} times the training's peak memory is free"
        if self.estimator == RANKS:
            self._ranks.arm(micro_sizes)
        elif self.estimator == MICRO_BATCHES:
            self._micro.arm(micro_sizes)
        elif self.estimator == SPLIT:
            self._split.arm(micro_sizes[0])

    def measures_ranks(self) -> CostMeter | None:
        """The meter to square the ranks' gradients under; None where this update does without."""
        return self.meter if self.is_armed and self.estimator == RANKS else None

    def ranks_reduced(self, squares: Tensor) -> None:
        """See `RankSplit.reduced`."""
        self._ranks.reduced(squares)

    def backward_done(self) -> None:
        """One more micro batch's backward is over."""
        if self.is_armed and self.estimator == MICRO_BATCHES:
            with self.meter:
                self._micro.backward_done()

    def measure(self, norm: Tensor | None, scale: Tensor) -> Part | None:
        """All gradients are there, unscaled, before clipping. `norm`: theirs, where it is known.

        `scale`, shape (1,): what the losses were multiplied by (GradScaler).
        """
        with self.meter:
            self.is_armed = False
            if self.estimator == SPLIT:
                return self._split.finish(self._step, scale)
            if self.estimator == CONSECUTIVE:
                return self._consecutive.measure(self._step, self._samples)
            split = self._ranks if self.estimator == RANKS else self._micro
            return split.finish(self._step, self._norm() if norm is None else norm, scale)

    def _norm(self) -> Tensor:
        norm: Tensor = torch.linalg.vector_norm(norms([p.grad for p in self._parameters if p.grad is not None]))
        return norm

    def discard(self) -> None:
        """Take all hooks away and free what is kept; the update will be made again, or never."""
        self.is_armed = False
        self._ranks.discard()
        self._micro.discard()
        self._split.discard()
        self._consecutive.discard()


def has_room(device: torch.device) -> bool:
    """Whether a GPU, and the person's own budget of it, has room for an extra backward; elsewhere the answer is yes."""
    if device.type != "cuda":
        return True
    free, total = torch.cuda.mem_get_info(device)
    reserved = torch.cuda.memory_reserved(device)
    allowed = torch.cuda.get_per_process_memory_fraction(device) * total - reserved
    unused = reserved - torch.cuda.memory_allocated(device)
    return min(free, allowed) + unused >= MEMORY * torch.cuda.max_memory_allocated(device)
