"""How often the verdicts on the loss are wrong; slow, and the figures stand in docs/guidelines.md."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest

from bsmon.advisor.health import Health
from bsmon.advisor.loss_health import LossHealth
from tests.unit.advisor.builders import good_trace
from tests.unit.advisor.test_advisor_loss_health import STEPS, flagged_plateaus

pytestmark = pytest.mark.slow
LOOK_EVERY = 20


def flagged(found: Health) -> bool:
    return bool(found.unstable or found.barely_moving)


def test_generated_good_runs() -> None:
    """300 seeds at four batch sizes: at most 3 of 1,200 flagged at any time."""
    wrong = 0
    for batch_size, steps in STEPS.items():
        for seed in range(300):
            health, ever = LossHealth(), False
            for number, loss in enumerate(good_trace(seed, 2 * steps, batch_size)):
                health.step(loss, batch_size)
                ever = ever or (number % LOOK_EVERY == LOOK_EVERY - 1 and flagged(health.health()))
            wrong += ever
    print(f"generated good runs flagged: {wrong} of {300 * len(STEPS)}")  # noqa: T201 - the figure for the docs
    assert wrong <= 3


def test_plateaus_called_overfitting() -> None:
    found = {noise: flagged_plateaus(noise, 500) for noise in (0.01, 0.02, 0.04)}
    print(f"plateaus called overfitting, of 500: {found}")  # noqa: T201 - the figure for the docs
    assert found[0.01] == 0
    assert found[0.04] <= 40


@dataclass(frozen=True)
class Run:
    seed: int
    optimizer: str
    learning_rate: float
    batch_size: int
    steps: int
    norm: bool = False


def alarmed(run: Run) -> bool:
    """Train a small classifier; whether it was flagged, or ended in NaN, at any time."""
    import torch  # here, so that the fast tests of a pure package need no torch

    torch.manual_seed(run.seed)
    means, labels = torch.randn(10, 64), torch.randint(0, 10, (1400,))
    inputs = means[labels] + 2 * torch.randn(1400, 64)
    norm = [torch.nn.BatchNorm1d(64)] if run.norm else []
    model = torch.nn.Sequential(torch.nn.Linear(64, 64), *norm, torch.nn.ReLU(), torch.nn.Linear(64, 10))
    optimizer = (
        torch.optim.SGD(model.parameters(), lr=run.learning_rate, momentum=0.9)
        if run.optimizer == "sgd"
        else torch.optim.AdamW(model.parameters(), lr=run.learning_rate)
    )
    health, order = LossHealth(), torch.randperm(1400)
    for step in range(run.steps):
        start = step * run.batch_size % (1400 - run.batch_size)
        rows = order[start : start + run.batch_size]
        loss = torch.nn.functional.cross_entropy(model(inputs[rows]), labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        health.step(loss.item(), run.batch_size)
        if not math.isfinite(loss.item()) or (step % LOOK_EVERY == LOOK_EVERY - 1 and flagged(health.health())):
            return True
    return False


GOOD = [
    Run(seed, name, rate * min(2.0, math.sqrt(batch / 32)), batch, steps, norm)
    for seed in range(5)
    for batch, steps in ((1, 1500), (8, 1000), (32, 700), (256, 400))
    for name, rate in (("sgd", 0.01), ("adam", 1e-3))
    for norm in ((False, True) if batch >= 16 else (False,))
]
BAD = [
    Run(seed, name, rate, batch, steps)
    for seed in range(4)
    for batch, steps in ((8, 800), (32, 600), (256, 400))
    for name, rate in (("sgd", 2.0), ("sgd", 1e-7), ("adam", 0.5))
]


def test_real_small_trainings() -> None:
    good, bad = sum(map(alarmed, GOOD)), sum(map(alarmed, BAD))
    print(f"real runs: good flagged {good} of {len(GOOD)}, bad flagged {bad} of {len(BAD)}")  # noqa: T201 - for the docs
    assert good == 0
    assert bad >= 0.8 * len(BAD)
