from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bsmon.config.load import parse
from bsmon.core.commands import LearningRateRule
from bsmon.core.errors import BadInput
from bsmon.engine.build import build
from bsmon.engine.gradient_moments import GradientMoments
from bsmon.engine.sharpness import sharpness
from bsmon.engine.trial import Trial
from bsmon.trials.lr_find import ramp, range_test
from bsmon.trials.sweep import learning_rate_rule

CONFIG = """
[data]
task = "cats-vs-dogs"
samples = 100
features = 8
signal = 3.0
[model]
name = "mlp"
hidden = [8]
dropout = 0.1
[optimizer]
name = "SGD"
lr = 0.1
momentum = 0.9
[run]
device = "cpu"
threads = 1
"""


def make(*overrides: str, moments: bool = False) -> tuple[Trial, GradientMoments]:
    parts = build(parse(CONFIG, Path("run.toml"), overrides), lambda _: None)
    watch = GradientMoments(parts.model.parameters())
    return Trial(parts, watch if moments else None), watch


def losses(trial: Trial, count: int) -> list[float]:
    return [float(trial.update(0.1)) for _ in range(count)]


def test_every_trial_begins_from_the_same_start() -> None:
    trial, _ = make()
    trial.begin(16)
    first = losses(trial, 20)  # over several epochs, with momentum and dropout
    trial.begin(32)
    losses(trial, 5)
    trial.begin(16)
    assert losses(trial, 20) == first


def test_an_epochs_last_batch_is_short_and_the_next_epoch_follows() -> None:
    trial, _ = make()
    trial.begin(32)
    losses(trial, 5)  # 32, 32, 32, 4, and 32 of the next
    assert (trial.parts.cursor.epoch, trial.parts.cursor.consumed) == (2, 132)


def test_micro_batches_make_the_same_update() -> None:
    whole, _ = make("model.dropout=0.0")
    parted, _ = make("model.dropout=0.0", "batch.micro_batch_size=5")
    whole.begin(20)
    parted.begin(20)
    assert losses(whole, 6) == pytest.approx(losses(parted, 6), rel=1e-4)


def test_a_batch_larger_than_the_data_is_refused() -> None:
    trial, _ = make()
    with pytest.raises(BadInput, match="a batch of 101 is more than the 100 training samples"):
        trial.begin(101)


def test_measured_variance_is_that_of_the_gradients_by_hand() -> None:
    trial, moments = make("model.dropout=0.0", "train.grad_clip=1e-6", moments=True)
    trial.begin(10)
    batches = [torch.arange(start, start + 10) for start in (0, 20, 50)]
    vectors = []
    for rows in batches:
        inputs, labels = trial.parts.data.train.fetch(rows)  # type: ignore[attr-defined]  # TensorBatches has it
        loss = torch.nn.functional.cross_entropy(trial.parts.model(inputs), labels)
        found = torch.autograd.grad(loss, tuple(trial.parts.model.parameters()))
        vectors.append(torch.cat([gradient.flatten() for gradient in found]))
    moments.begin_batches()
    for rows in batches:
        trial.gradients(rows)
    assert moments.variance() == pytest.approx(float(torch.stack(vectors).var(0).sum()), rel=1e-4)


def test_variance_of_one_batch_is_not_known_and_updates_are_not_counted() -> None:
    trial, moments = make(moments=True)
    trial.begin(10)
    losses(trial, 3)
    moments.begin_batches()
    trial.gradients(torch.arange(10))
    assert moments.variance() is None


def test_gradients_update_nothing() -> None:
    trial, _ = make(moments=True)
    trial.begin(10)
    before = [parameter.clone() for parameter in trial.parts.model.parameters()]
    trial.gradients(torch.arange(10))
    assert all(map(torch.equal, before, trial.parts.model.parameters()))


def test_gradients_between_updates_leave_the_loss_scale_alone() -> None:
    trial, _ = make()
    parts = trial.parts
    parts.scaler = torch.amp.GradScaler("cpu")
    trial = Trial(parts)
    trial.begin(10)
    losses(trial, 2)
    scale = parts.scaler.get_scale()
    trial.gradients(torch.arange(10))
    trial.gradients(torch.arange(10))
    assert parts.scaler.get_scale() == scale
    losses(trial, 2)


def test_sharpness_puts_the_weights_back_and_grows_with_the_curvature() -> None:
    trial, _ = make("data.signal=1.0")
    trial.begin(50)
    losses(trial, 60)
    before = [parameter.clone() for parameter in trial.parts.model.parameters()]
    rise = sharpness(trial.parts)
    assert all(map(torch.equal, before, trial.parts.model.parameters()))
    assert sharpness(trial.parts) == rise
    with torch.no_grad():
        for parameter in trial.parts.model.parameters():
            parameter.mul_(4)  # confident answers: the same share of the weights is a longer way
    assert sharpness(trial.parts) > rise


@given(st.floats(1e-9, 1e-3), st.floats(1e-2, 100), st.integers(2, 300))
def test_a_ramp_rises_by_one_factor_from_end_to_end(low: float, high: float, steps: int) -> None:
    rates = ramp(low, high, steps)
    assert (rates[0], len(rates)) == (low, steps)
    assert rates[-1] == pytest.approx(high)
    assert all(later > earlier for earlier, later in pairwise(rates))


def test_a_range_test_stops_where_the_loss_explodes() -> None:
    trial, _ = make()
    told: list[tuple[int, int]] = []
    found = range_test(trial, 32, ramp(1e-4, 1e6, 100), lambda size, count, _: told.append((size, count)))
    assert found.exploded
    assert len(found.losses) < 100
    assert not found.losses[-1] <= 10 * found.losses[0]
    assert all(loss <= 10 * found.losses[0] for loss in found.losses[:-1])
    assert told == [(32, count) for count in range(1, len(found.losses) + 1)]


@settings(max_examples=10, deadline=None)
@given(st.sampled_from(["auto", "unchanged", "linear", "sqrt", "gain"]), st.sampled_from(["SGD", "AdamW"]))
def test_the_rule_of_a_sweep_never_needs_a_noise_scale(rule: str, optimizer: str) -> None:
    name = f'optimizer.name="{optimizer}"'
    extra = [] if optimizer == "SGD" else ["optimizer.betas=[0.9, 0.99]"]
    text = CONFIG if optimizer == "SGD" else CONFIG.replace("momentum = 0.9\n", "")
    config = parse(text, Path("run.toml"), [name, f'advisor.learning_rate_rule="{rule}"', *extra])
    found = learning_rate_rule(Trial(build(config, lambda _: None)))
    default = LearningRateRule.LINEAR if optimizer == "SGD" else LearningRateRule.SQRT
    assert found is (default if rule in ("auto", "gain") else LearningRateRule(rule))
