"""All that is measured of a training step's gradients, as one object that the updater calls.

Every measurement is on a schedule, and every schedule within its part of the budget. What a step yields is copied to
the host once, without waiting for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import perf_counter

import torch
from torch import Tensor

from bsmon.core.gradients import Measurement
from bsmon.core.text import clean
from bsmon.telemetry.budget import Schedule
from bsmon.telemetry.cost import CostMeter
from bsmon.telemetry.gradient_stats import GradientStatistics
from bsmon.telemetry.layers import LayerNorms
from bsmon.telemetry.noise_probe import NoiseProbe
from bsmon.telemetry.parameters import Sample
from bsmon.telemetry.part import Layout, Part, join
from bsmon.telemetry.readback import Readback
from bsmon.telemetry.weight_probe import WeightProbe

NOISE_PART = 0.75
"""The noise scale's part of the budget; its probe costs most, and how soon it is known depends on how often it runs."""

MAX_RATE_HZ = 4.0
"""Statistics more often than the screen is drawn would be seen by nobody."""


class GradientProbes:
    """Watches updates (it is an engine.watch.Watch) and hands measurements to `sink`, on the training thread.

    It changes nothing: weights, buffers and random numbers are bit for bit those of a run without it.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        device: torch.device,
        sink: Callable[[Measurement], None],
        *,
        budget: float = 0.02,
        grad_clip: float | None = None,
        probe_weight: str | None = None,
        noise_scale: bool = True,
        scaler: torch.amp.GradScaler | None = None,
        left: Callable[[int], float] | None = None,
        ranks: int = 1,
    ) -> None:
        """`budget`: share of the step time that all of it may take, 0..1. Raises BadInput for a wrong `probe_weight`.

        `scaler`: where the losses are scaled; gradients reach `gradients_ready` unscaled. `left`, `ranks`: see
        NoiseProbe.
        """
        named = {name.removeprefix("_orig_mod."): p for name, p in model.named_parameters() if p.requires_grad}
        parameters = tuple(named.values())
        self._parameters = parameters
        self._sink = sink
        self._scaler = scaler
        self._sample = Sample(parameters)
        self._statistics = GradientStatistics(parameters, self._sample, grad_clip=grad_clip)
        self._layers = LayerNorms(tuple(named), self._sample)
        self._weight = WeightProbe(probe_weight, named) if probe_weight else None
        self.schedule = Schedule(budget * (1 - NOISE_PART if noise_scale else 1), max_rate_hz=MAX_RATE_HZ)
        self._meter = CostMeter(device)
        self.noise = (
            NoiseProbe(model, parameters, self._sample, device, share=budget * NOISE_PART, left=left, ranks=ranks)
            if noise_scale
            else None
        )
        self._readback: Readback[Layout] = Readback(device)
        self._one = torch.ones(1, device=device)
        self._parts: list[Part] = []
        self._before: Tensor | None = None  # sampled weights before the update, while statistics are measured
        self._is_measuring = False
        self._step = 0
        self._is_active = False  # something is measured in this update
        self._is_settled = True  # all measurements so far are charged and delivered
        self._training_s = 0.0
        self._began_s: float | None = None
        self.wants_layers = False
        """Set, from any thread, while somebody looks at the table of layers."""
        self.failure = ""
        """Why nothing is measured any more, one sentence; "" while all is well."""

    @property
    def cost_share(self) -> float | None:
        """What all measuring took so far as a share of the training time, 0..1; None before the first step."""
        cost_s = self.schedule.cost_s + (self.noise.schedule.cost_s if self.noise is not None else 0.0)
        return cost_s / self._training_s if self._training_s > 0 else None

    @property
    def noise_reason(self) -> str:
        """Why the noise scale is not known, or has no better estimator; "" where nothing is in its way."""
        if self.noise is None:
            return "telemetry.noise_scale is false"
        return self.noise.reason or self.noise.too_short

    def begin(self, step: int, micro_sizes: Sequence[int]) -> None:
        """The update `step` begins; samples in each of its micro batches. Begins anew if it is made again.

        For a step that is not measured this and the other calls take about 1 us together.
        """
        now = perf_counter()
        if self._began_s is not None:
            self._training_s += now - self._began_s
        self._began_s = now
        if not self._is_settled:
            self._settle()
        training_s = self._training_s
        noise = self.noise
        if self.schedule.is_earned(training_s) or (noise is not None and noise.is_earned(training_s)):
            self._begin(step, micro_sizes)

    def _begin(self, step: int, micro_sizes: Sequence[int]) -> None:
        if self.failure or not self._parameters:
            return
        self._step = step
        self._is_measuring = self.schedule.is_due(step, self._training_s)
        if self._is_measuring:
            self.schedule.measured(step, self._training_s)
        if self.noise is not None:
            self.noise.begin(step, micro_sizes, self._training_s)
        self._is_active = self._is_measuring or (self.noise is not None and self.noise.is_armed)
        self._is_settled = not self._is_active

    def _settle(self) -> None:
        """Deliver what has arrived and charge the schedules; drop an update that was begun and never ended."""
        if self._is_active:
            self.abandoned()
        self._deliver()
        meters = [(self.schedule, self._meter)]
        if self.noise is not None:
            meters.append((self.noise.schedule, self.noise.meter))
        for schedule, meter in meters:
            cost_s = meter.take()
            if cost_s:
                schedule.charge(cost_s)
                self._training_s -= cost_s
        self._is_settled = not len(self._readback) and not any(meter.is_waiting for _, meter in meters)

    def paused(self) -> None:
        """Training rests (a pause, an evaluation): the time until the next update is not counted."""
        if self._began_s is not None:
            self._training_s += perf_counter() - self._began_s
        self._began_s = None
        self._settle()

    def measures_ranks(self) -> CostMeter | None:
        """The meter to square the ranks' gradients under, where this update's are measured."""
        return self.noise.measures_ranks() if self._is_active and self.noise is not None else None

    def ranks_reduced(self, squares: Tensor) -> None:
        """The ranks' contributions to the gradient, squared; shape (ranks,)."""
        if self.noise is not None:
            self.noise.ranks_reduced(squares)

    def backward_done(self, micro_batch: int) -> None:
        """The gradients of one more micro batch are in `.grad`."""
        del micro_batch  # they come in order
        if self._is_active and self.noise is not None:
            self.noise.backward_done()

    def gradients_ready(self, norm: Tensor | None) -> None:
        """All gradients are there, unscaled, before clipping; `norm` where clipping computed it anyway."""
        if not self._is_active:
            return
        if all(p.grad is None for p in self._parameters):
            self.abandoned()
            return
        try:
            with torch.no_grad():
                self._measure(norm)
        except RuntimeError as error:
            self._give_up(error)

    def _measure(self, norm: Tensor | None) -> None:
        if self.noise is not None and self.noise.is_armed:
            part = self.noise.measure(norm, self._one if self._scaler is None else self._scaler.scale(self._one))
            if part is not None:
                self._parts.append(part)
        if not self._is_measuring:
            return
        with self._meter:
            self._statistics.measure(norm)
            if self.wants_layers:
                self._layers.measure()
            if self._weight is not None:
                self._parts.append(self._weight.measure(self._step))
            self._before = self._sample.weights()

    def updated(self, learning_rate: float) -> None:
        """The optimizer has stepped; gradients are still there."""
        del learning_rate  # how far the weights really moved is measured instead
        if not self._is_active:
            return
        self._is_active = False
        if self._before is None and not self._parts:
            return
        try:
            with torch.no_grad(), self._meter:
                self._finish()
        except RuntimeError as error:
            self._give_up(error)
        self._deliver()

    def _finish(self) -> None:
        if self._before is not None:
            change = self._sample.weights().sub_(self._before)
            self._parts.append(self._statistics.finish(self._step, self._before, change))
            if self._layers.is_measured:
                self._parts.append(self._layers.finish(self._step, self._before, change))
        self._readback.put(*join(self._parts))
        self._parts, self._before = [], None

    def _deliver(self) -> None:
        if not len(self._readback):
            return
        with self._meter:
            for layout, values in self._readback.ready():
                for measurement in layout.decode(values):
                    self._sink(measurement)

    def batch_size_changed(self) -> None:
        """Statistics over time begin anew, because they belong to one batch size."""
        if self._weight is not None:
            self._weight.restart()
        if self.noise is not None:
            self.noise.schedule.pace_changed()

    def abandoned(self) -> None:
        """Let go of every tensor of this update: it ran out of memory, and will be made again or never."""
        self._is_active = self._is_measuring = False
        self._parts, self._before = [], None
        self._layers.discard()
        if self.noise is not None:
            self.noise.discard()

    def _give_up(self, error: RuntimeError) -> None:
        """Measuring must not end a training: no memory for it, or a tensor that torch cannot do this with."""
        self.failure = f"gradients are not measured any more: {clean(str(error).partition(chr(10))[0])[:160]}"
        self.abandoned()
