"""The noise probe of the product in a run on a made-up clock."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from bsmon.core.gradients import LEAST_NOISE_SAMPLES, NoiseSample
from bsmon.engine.watch import NoWatch
from bsmon.telemetry.budget import Schedule
from bsmon.telemetry.cost import CostMeter
from bsmon.telemetry.gradients import NOISE_PART
from bsmon.telemetry.noise_probe import EARLY, STRIDE
from bsmon.telemetry.noise_split import SplitProbe


class NoiseWatch(NoWatch):
    """The telemetry's own split probe on the telemetry's own schedule, but by the clock of the benchmark."""

    def __init__(self) -> None:
        self._probe: SplitProbe | None = None
        self._schedule: Schedule | None = None
        self._armed = 0
        self.clock_s = 0.0  # of training, without the probes
        self.cost_s = 0.0  # of a probe now
        self.left = 1.0  # of the planned run
        self.samples: list[NoiseSample] = []

    def attach(self, model: torch.nn.Module) -> None:
        """Watch this model from now on."""
        self._probe = SplitProbe(model, tuple(model.parameters()), CostMeter(torch.device("cpu")))

    def start(self, budget: float | None) -> None:
        """A run begins, with this share of its time for probes; None = without."""
        self.samples.clear()
        self._armed, self.clock_s, self.left = 0, 0.0, 1.0
        share = None if budget is None else budget * NOISE_PART
        self._schedule = (
            None if share is None else Schedule(share, min_stride=STRIDE, early=EARLY, needed=LEAST_NOISE_SAMPLES)
        )

    @property
    def spent_s(self) -> float:
        """What the probes of this run cost so far."""
        return 0.0 if self._schedule is None else self._schedule.cost_s

    def resized(self) -> None:
        """Updates have another size from now on."""
        if self._schedule is not None:
            self._schedule.pace_changed()

    def begin(self, step: int, micro_sizes: Sequence[int]) -> None:
        """See engine.watch.Watch."""
        self._armed = 0
        if self._probe is None or self._schedule is None or len(micro_sizes) != 1 or micro_sizes[0] < 2:
            return
        if self._schedule.is_due(step, self.clock_s):
            self._schedule.measured(step, self.clock_s, self.left)
            self._armed = step
            self._probe.arm(micro_sizes[0])

    def gradients_ready(self, norm: Tensor | None) -> None:
        """See engine.watch.Watch."""
        del norm
        if not self._armed or self._probe is None or self._schedule is None:
            return
        self._schedule.charge(self.cost_s)
        part = self._probe.finish(self._armed, torch.ones(1))
        found = None if part is None else part.decode(part.values.tolist())
        if isinstance(found, NoiseSample):
            self.samples.append(found)
