"""The peak memory of a training step at a size that was never run: a fake copy of the model runs it.

Fake tensors have shapes and no memory, so the copy takes the same operators as the real step, allocates nothing and is
done in a fraction of a second. It cannot follow control flow that depends on values; then there is no forecast.
Fake tensors are a private part of torch (seen working in 2.13): where they are missing there is no forecast either.
"""

from __future__ import annotations

import copy
import random
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.optim import Optimizer

from bsmon.engine.batches import Batch, map_tensors, tensors
from bsmon.engine.live_memory import LiveMemory, held_tensors

try:
    from torch._subclasses.fake_tensor import FakeCopyMode, FakeTensorMode
except ImportError:
    FAKE_TENSORS = False
else:
    FAKE_TENSORS = True

CUDA_ROUNDING = 512
"""Bytes to which CUDA's caching allocator rounds a block up."""

_STEPS = 2  # the first one makes the optimizer's state and the gradients, the second one is like all that follow


@dataclass(frozen=True, slots=True)
class Forecast:
    """The predicted peak in bytes, or None and the reason; `seconds` is what the forecast took."""

    peak_bytes: int | None
    seconds: float
    reason: str = ""


def forecast_peak(
    model: nn.Module,
    make_optimizer: Callable[[nn.Module], Optimizer],
    run_step: Callable[[nn.Module, Optimizer, Batch], object],
    batch: Batch,
    rows: int,
) -> Forecast:
    """Predict the most bytes of tensors alive during one update with micro batches of `rows` samples.

    `batch`: a real micro batch on the model's device; tensors whose first dimension equals that of the first tensor are
    stretched to `rows`. `run_step(model, optimizer, batch)` makes one update as the training does
    (autocast included), must read no values (`.item()`), and should run two micro batches where gradients are
    accumulated, because the second one finds the first one's gradients in memory. Weights, gradients, the optimizer's
    state and the batch are part of the result; scratch memory inside an operator and the CUDA context are not.

    Call it between two steps, on the training thread. The model, its hooks and the random generators stay as they are.
    """
    started = time.perf_counter()
    if not FAKE_TENSORS:
        return Forecast(None, 0.0, "this torch has no fake tensors")
    try:
        with _random_generators_kept():
            peak = _fake_peak(model, make_optimizer, run_step, batch, rows)
    except Exception as error:  # noqa: BLE001 - a model of the person's own may raise anything on fake tensors
        reason = f"the model cannot be run without data ({type(error).__name__})"
        return Forecast(None, time.perf_counter() - started, reason)
    return Forecast(peak, time.perf_counter() - started)


def _fake_peak(
    model: nn.Module,
    make_optimizer: Callable[[nn.Module], Optimizer],
    run_step: Callable[[nn.Module, Optimizer, Batch], object],
    batch: Batch,
    rows: int,
) -> int:
    mode = FakeTensorMode()
    fake = _fake_copy(model, mode)
    device_type = next((weight.device.type for weight in model.parameters()), "cpu")
    with mode:
        inputs = _stretched(batch, len(next(tensors(batch))), rows)
        optimizer = make_optimizer(fake)
        live = LiveMemory(device_type, CUDA_ROUNDING if device_type == "cuda" else 1)
        live.hold(held_tensors(fake, optimizer, inputs))
        with live:
            for _ in range(_STEPS):
                run_step(fake, optimizer, inputs)
    return live.peak_bytes


def _fake_copy(model: nn.Module, mode: FakeTensorMode) -> nn.Module:
    """Copy the model onto fake tensors, without gradients and without the hooks of whoever watches it."""
    original = getattr(model, "_orig_mod", model)  # torch.compile's wrapper would compile anew
    with FakeCopyMode(mode):
        fake: nn.Module = copy.deepcopy(original, _without_hooks(original))
    for weight in fake.parameters():
        weight.grad = None
    return fake


def _without_hooks(model: nn.Module) -> dict[int, object]:
    """deepcopy's memo that stands empty dicts in for the hooks: a hook may belong to a recorder, or to a whole trainer.

    Hooks of torch.nn.utils (the older weight_norm, spectral_norm) are part of the model and stay.
    """
    memo: dict[int, object] = {}
    for module in model.modules():
        for name, hooks in vars(module).items():
            if name.endswith("_hooks") and isinstance(hooks, dict):
                kept = {key: hook for key, hook in hooks.items() if type(hook).__module__.startswith("torch.nn.utils")}
                memo[id(hooks)] = OrderedDict(kept)
    return memo


def _stretched(batch: Batch, present_rows: int, rows: int) -> Batch:
    """Make an empty copy of a batch with `rows` instead of `present_rows` in the first dimension."""

    def stretch(tensor: torch.Tensor) -> torch.Tensor:
        shape = list(tensor.shape)
        if shape and shape[0] == present_rows:
            shape[0] = rows
        return torch.empty(shape, dtype=tensor.dtype, device=tensor.device)

    return map_tensors(stretch, batch)


@contextmanager
def _random_generators_kept() -> Iterator[None]:
    """Put the random generators back: fake dropout draws nothing, but a model's own code may."""
    python, numpy, cpu = random.getstate(), np.random.get_state(), torch.get_rng_state()
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
        torch.set_rng_state(cpu)
