"""Builds a run's memory guard: forecasts by fake steps, the limit they are held against, measured peaks."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.optim import Optimizer

from bsmon.config.sizes import parse_bytes
from bsmon.core.errors import BadInput
from bsmon.core.ports import Observer
from bsmon.engine.batches import Batch, to_device
from bsmon.engine.budget import enforce_on_cuda, memory_limit
from bsmon.engine.build import Parts
from bsmon.engine.device import autocast
from bsmon.engine.feed import load_batch
from bsmon.engine.forecast import Forecast, forecast_peak
from bsmon.engine.live_memory import held_tensors
from bsmon.engine.memory_guard import MemoryGuard
from bsmon.engine.memory_model import CPU_MARGIN, CUDA_MARGIN, ForecastModel
from bsmon.engine.peaks import CpuPeaks, CudaPeaks, NoPeaks, Peaks
from bsmon.engine.tasks.optimizers import build_optimizer
from bsmon.engine.training import Training

_SAMPLE_ROWS = 2  # BatchNorm cannot train on one

Step = Callable[[nn.Module, Optimizer, Batch], None]


def memory_budget(parts: Parts) -> int | None:
    """The person's own limit in bytes; None without one. Enforced by torch itself on CUDA."""
    budget = parse_bytes(parts.config.memory.budget) if parts.config.memory.budget else None
    if budget is not None and parts.device.type == "cpu" and parts.compiles is not None:
        raise BadInput(
            f"{parts.config.path}: memory.budget on the CPU is kept by counting tensors op by op, which a compiled "
            "model cannot be run under; set run.compile = false, or leave the budget out"
        )
    if budget is not None and parts.device.type == "cuda":
        enforce_on_cuda(parts.device, budget)
    return budget


def make_memory_guard(training: Training, budget: int | None, observer: Observer) -> MemoryGuard:
    """The guard of a run; it decides the micro batch wherever the person has not."""
    parts = training.parts

    def room() -> int | None:
        held = held_tensors(parts.model, parts.optimizer, None) if parts.device.type == "cpu" else ()
        return _for_one_rank(parts, memory_limit(parts.device, budget, held), budget)

    whole, accumulating = (_forecast_model(parts, passes) for passes in (1, 2))
    return MemoryGuard(training.controls, whole, accumulating, room, observer, parts.info.has_batchnorm)


def _for_one_rank(parts: Parts, room: int | None, budget: int | None) -> int | None:
    """What one rank may hold of this room: on the CPU they share it, on a GPU the sum of gradients lies beside a step.

    The person's budget is every rank's own.
    """
    world_size = parts.config.run.world_size
    if world_size == 1 or room is None:
        return room
    if parts.device.type == "cpu":
        return room if room == budget else room // world_size
    return max(0, room - sum(p.nbytes for p in parts.model.parameters() if p.requires_grad))


def make_peaks(parts: Parts, budget: int | None) -> Peaks:
    """What measures the updates' peaks on this device."""
    if parts.compiles is not None and parts.device.type == "cpu":
        # A model that was once run under a dispatch mode is never compiled again.
        return NoPeaks()
    if parts.device.type == "cpu":
        return CpuPeaks(parts.model, parts.optimizer, budget)
    return CudaPeaks(parts.device) if parts.device.type == "cuda" else NoPeaks()


def _forecast_model(parts: Parts, passes: int) -> ForecastModel:
    def fake(rows: int) -> Forecast:
        sample = to_device(load_batch(parts.data.train, torch.arange(_sample_rows(parts))), parts.device)
        return forecast_peak(
            parts.model, lambda model: _optimizer_for(parts, model), _step(parts, passes), sample, rows
        )

    return ForecastModel(fake, CUDA_MARGIN if parts.device.type == "cuda" else CPU_MARGIN)


def _sample_rows(parts: Parts) -> int:
    return min(_SAMPLE_ROWS, parts.info.train_samples or 1)


def _optimizer_for(parts: Parts, model: nn.Module) -> Optimizer:
    return build_optimizer(parts.config, model.parameters())


def _step(parts: Parts, passes: int) -> Step:
    """An update as the run makes it, in so many forward passes."""

    def step(model: nn.Module, optimizer: Optimizer, batch: Batch) -> None:
        optimizer.zero_grad(set_to_none=True)
        for _ in range(passes):
            with autocast(parts.device, parts.config.run.precision):
                loss, _output = parts.objective(model, batch)
            (loss / passes).backward()
        optimizer.step()

    return step
