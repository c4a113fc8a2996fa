"""Several batch sizes compared: the same samples seen, from the same weights, learning rate by rule."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch

from bsmon.advisor.moments import Moments
from bsmon.advisor.scaling import learning_rate_factor, optimizer_family, resolve_rule
from bsmon.advisor.updates_per_epoch import updates_verdict
from bsmon.core.commands import LearningRateRule
from bsmon.core.errors import BadInput
from bsmon.engine.evaluate import evaluate
from bsmon.engine.gradient_moments import GradientMoments
from bsmon.engine.out_of_memory import is_out_of_memory, release
from bsmon.engine.sharpness import sharpness
from bsmon.engine.trial import Trial

LIGHT = (16, 32, 64)  # B section 5
FULL = (8, 16, 32, 64, 128, 256)
VARIANCE_BATCHES = 10
LAST = 0.1  # of the samples: what the final loss is a mean over
WARM_UP = 3  # updates that the throughput leaves out: they choose algorithms and make room


@dataclass(frozen=True, slots=True)
class Row:
    """What one batch size came to. None: not measured. `failure` says why nothing is known."""

    batch_size: int
    learning_rate: float
    updates_per_epoch: float
    verdict: str
    updates: int = 0
    samples_per_second: float | None = None
    final_loss: float | None = None  # mean over the last tenth of the samples
    validation_loss: float | None = None
    validation_accuracy: float | None = None  # 0..1
    gradient_variance: float | None = None  # tr(Cov) of the batch gradient at the first weights
    predicted_variance: float | None = None  # the smallest size's, times its size over this one (C, part 5)
    sharpness: float | None = None  # rise of the training loss (C, part 8)
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run. `rule` is how the learning rate follows the size, from the config's own."""

    sizes: tuple[int, ...]
    samples: int  # that each size sees
    rule: LearningRateRule
    sharpness: bool = False


def learning_rate_rule(trial: Trial) -> LearningRateRule:
    """The config's rule; the gain rule becomes auto, because only a longer run knows the noise scale."""
    config = trial.parts.config
    wanted = LearningRateRule(config.advisor.learning_rate_rule)
    if wanted is LearningRateRule.GAIN:
        wanted = LearningRateRule.AUTO
    return resolve_rule(wanted, optimizer_family=optimizer_family(config.optimizer.name), noise_scale=None)


def sweep(trial: Trial, moments: GradientMoments, plan: Plan, tell: Callable[[int, int, float], None]) -> list[Row]:
    """A row for every size. `moments` is the trial's watch; `tell` hears (batch size, samples seen, loss).

    A size that runs out of memory, or that the model refuses, is a row with a `failure`.
    """
    return _with_predictions([_row(trial, moments, plan, size, tell) for size in plan.sizes])


def _row(trial: Trial, moments: GradientMoments, plan: Plan, size: int, tell: Callable[[int, int, float], None]) -> Row:
    config = trial.parts.config
    factor = learning_rate_factor(plan.rule, config.batch.size, size)
    empty = Row(
        batch_size=size,
        learning_rate=config.optimizer.lr * factor,
        updates_per_epoch=trial.samples / size,
        verdict=updates_verdict(trial.samples, size).value,
    )
    try:
        return _measured(trial, moments, plan, empty, tell)
    except BadInput:
        raise
    except (RuntimeError, ValueError, MemoryError) as error:  # what torch and models raise for a size they cannot take
        reason = "out of memory" if is_out_of_memory(error) else f"{type(error).__name__}: {error}".partition("\n")[0]
    release()
    return replace(empty, failure=reason)


def _measured(
    trial: Trial, moments: GradientMoments, plan: Plan, row: Row, tell: Callable[[int, int, float], None]
) -> Row:
    variance = _variance(trial, moments, row.batch_size)
    trained = _train(trial, plan.samples, row, tell)
    validation = _validation(trial)
    return replace(
        trained,
        gradient_variance=variance,
        validation_loss=validation[0],
        validation_accuracy=validation[1],
        sharpness=sharpness(trial.parts) if plan.sharpness else None,
    )


def _variance(trial: Trial, moments: GradientMoments, size: int) -> float | None:
    """Over batches drawn with replacement: without, the variance would fall to 0 at the size of the data set."""
    trial.begin(size)
    generator = torch.Generator().manual_seed(trial.parts.config.run.seed)
    moments.begin_batches()
    for _ in range(VARIANCE_BATCHES):
        trial.gradients(torch.randint(trial.samples, (size,), generator=generator))
    return moments.variance()


def _train(trial: Trial, samples: int, row: Row, tell: Callable[[int, int, float], None]) -> Row:
    trial.begin(row.batch_size)
    seen, timed, began = 0, 0, time.perf_counter()
    final = Moments()
    while seen < samples:
        loss = float(trial.update(row.learning_rate))
        count = trial.parts.cursor.consumed - seen
        seen += count
        if seen > (1 - LAST) * samples:
            final.add(loss)
        if trial.step == WARM_UP:
            began = time.perf_counter()
        timed += count if trial.step > WARM_UP else 0
        tell(row.batch_size, seen, loss)
    seconds = time.perf_counter() - began
    return replace(
        row, updates=trial.step, final_loss=final.mean, samples_per_second=timed / seconds if timed else None
    )


def _validation(trial: Trial) -> tuple[float | None, float | None]:
    parts = trial.parts
    if parts.data.validation is None:
        return None, None
    found = evaluate(
        parts.runner,
        parts.objective,
        parts.data.validation,
        torch.arange(parts.info.validation_samples or 0),
        batch_size=parts.config.train.eval_batch_size,
        device=parts.device,
        precision=parts.config.run.precision,
        interrupted=lambda: False,
    )
    assert found is not None, "never interrupted"
    return found[0], found[1]


def _with_predictions(rows: Sequence[Row]) -> list[Row]:
    """Var = sigma^2 / B (C, part 5), with sigma^2 from the smallest size that was measured."""
    base = next((row for row in rows if row.gradient_variance is not None), None)
    if base is None or base.gradient_variance is None:
        return list(rows)
    sigma_squared = base.gradient_variance * base.batch_size
    return [replace(row, predicted_variance=sigma_squared / row.batch_size) for row in rows]
