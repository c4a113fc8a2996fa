"""What is measured of gradients and times on a GPU, real or stand-in, arrives right and without a wait."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from bsmon.core.gradients import Measurement, NoiseSample
from bsmon.core.records import GradientStats
from bsmon.telemetry.budget import Schedule
from bsmon.telemetry.clock import step_timer
from bsmon.telemetry.gradients import GradientProbes
from bsmon.telemetry.guard import Untouched
from bsmon.telemetry.readback import Readback
from tests.gpu.conftest import no_waits
from tests.unit.gradients.models import cross_entropy, mlp

STEPS = 30


def measured(model: nn.Module, device: torch.device) -> list[Measurement]:
    """What the probes say of a training."""
    got = list[Measurement]()
    probes = GradientProbes(model, device, got.append, budget=1.0)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    x = torch.linspace(-1, 1, 96).reshape(16, 6).to(device)
    y = (torch.arange(16) % 3).to(device)
    with no_waits():
        for step in range(1, STEPS):
            probes.begin(step, (16,))
            optimizer.zero_grad()
            cross_entropy(model, x, y).backward()
            probes.backward_done(0)
            probes.gradients_ready(None)
            optimizer.step()
            probes.updated(0.05)
    torch.cuda.synchronize(device)
    probes.begin(STEPS, (16,))
    return got


def test_gradients_are_measured_as_on_the_cpu(gpu: torch.device, monkeypatch: pytest.MonkeyPatch) -> None:
    # Whatever it costs: else the two would be measured at different steps.
    monkeypatch.setattr(Schedule, "is_earned", lambda *_: True)
    monkeypatch.setattr(Schedule, "is_due", lambda *_: True)
    torch.cuda.set_device(gpu)
    model = mlp(norm=True)
    plain = measured(copy.deepcopy(model), torch.device("cpu"))
    on_gpu = measured(model.to(gpu), gpu)
    norms = {each.step: each.norm for each in plain if isinstance(each, GradientStats)}
    ours = {each.step: each.norm for each in on_gpu if isinstance(each, GradientStats)}
    assert ours
    assert ours == pytest.approx({step: norms[step] for step in ours}, rel=1e-2)
    assert any(isinstance(each, NoiseSample) for each in on_gpu)


def test_pinned_slots_bring_the_values_home(gpu: torch.device) -> None:
    readback: Readback[int] = Readback(gpu, slots=2)
    values = [torch.arange(length, dtype=torch.float64, device=gpu) for length in (3, 700, 5)]
    for number, value in enumerate(values):
        readback.put(number, value)
    torch.cuda.synchronize(gpu)
    assert [(n, v[-1]) for n, v in readback.ready()] == [(1, 699.0), (2, 4.0)]
    assert readback.dropped == 1


def test_the_times_of_a_step_come_without_a_wait(gpu: torch.device) -> None:
    torch.cuda.set_device(gpu)
    timer = step_timer(str(gpu))
    with no_waits():
        for _ in range(20):
            timer.mark("forward")
            timer.mark("backward")
            timer.end_step()
    torch.cuda.synchronize(gpu)
    timer.end_step()
    shares = timer.shares()
    assert shares is not None
    assert shares.keys() == {"forward", "backward"}
    assert sum(shares.values()) == pytest.approx(1.0)


def test_random_numbers_of_the_gpu_are_put_back(gpu: torch.device) -> None:
    model = mlp(dropout=0.5).to(gpu)
    before = torch.cuda.get_rng_state(gpu)
    with Untouched(model):
        torch.cuda.set_rng_state(torch.zeros_like(before), gpu)
    assert torch.equal(torch.cuda.get_rng_state(gpu), before)
