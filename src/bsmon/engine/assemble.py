"""Puts the parts of a training together."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from torch import nn
from torch.optim import Optimizer

from bsmon.config.sizes import parse_bytes
from bsmon.core.commands import LearningRateRule
from bsmon.engine.batches import Batch
from bsmon.engine.budget import enforce_on_cuda, memory_limit
from bsmon.engine.build import Parts
from bsmon.engine.changes import ChangeLog
from bsmon.engine.checkpoint import CheckpointStore
from bsmon.engine.commander import Commander
from bsmon.engine.controls import Bounds, Controls
from bsmon.engine.device import autocast
from bsmon.engine.feed import DirectFeed, Feed, WorkerFeed
from bsmon.engine.forecast import Forecast, forecast_peak
from bsmon.engine.keeper import StepKeeper
from bsmon.engine.memory_guard import MemoryGuard
from bsmon.engine.memory_model import CPU_MARGIN, CUDA_MARGIN, ForecastModel
from bsmon.engine.plan import BatchPlan
from bsmon.engine.probation import Probation
from bsmon.engine.recovery import Recovery
from bsmon.engine.resume import resume
from bsmon.engine.saver import Saver
from bsmon.engine.tasks.optimizers import build_optimizer
from bsmon.engine.trainer import Trainer
from bsmon.engine.training import Training
from bsmon.engine.update import Updater
from bsmon.engine.watch import Watch

if TYPE_CHECKING:
    from bsmon.engine.run import Surroundings


def assemble(parts: Parts, watch: Watch, around: Surroundings) -> Trainer:
    """Everything that a training needs around its parts."""
    config, observer = parts.config, around.observer
    training = Training(parts, make_controls(parts, around))
    saver = Saver(
        CheckpointStore(around.checkpoints, config.checkpoint.keep), config.checkpoint, observer, training.capture
    )
    feed = make_feed(parts)
    memory = make_memory_guard(training, feed, around)
    updater = make_updater(parts, watch)
    keeper = StepKeeper(parts.model, parts.optimizer, parts.scaler)
    changes = ChangeLog(training.controls, training.capture)
    probation = Probation()
    commander = Commander(training, changes, probation, around.mailbox, observer, saver.save_now)

    def ran_out(micro_batch_size: int, reason: str) -> None:
        memory.ran_out(micro_batch_size, reason, training.step)
        commander.announce_plan()

    if around.resume:
        resume(training, saver, around.changes, observer)
    recovery = Recovery(updater, keeper, ran_out)
    return Trainer(training, recovery, feed, commander, probation, memory, saver, observer)


def make_controls(parts: Parts, around: Surroundings) -> Controls:
    """Batch plan and learning rate as the config starts them."""
    config, batch = parts.config, parts.config.batch
    bounds = Bounds(batch.min, batch.max, parts.info.train_samples or 0)
    own = None if batch.micro_batch_size == "auto" else batch.micro_batch_size
    plan = BatchPlan.within(batch.size, own or batch.size)
    rule = LearningRateRule(config.advisor.learning_rate_rule)
    controls = Controls(plan, config.optimizer.lr, bounds, rule, around.scale)
    controls.wanted_micro_batch = own
    return controls


def make_updater(parts: Parts, watch: Watch) -> Updater:
    """What makes one update."""
    return Updater(
        model=parts.model,
        objective=parts.objective,
        optimizer=parts.optimizer,
        device=parts.device,
        precision=parts.config.run.precision,
        scaler=parts.scaler,
        grad_clip=parts.config.train.grad_clip,
        watch=watch,
    )


def make_feed(parts: Parts) -> Feed:
    """Where the training samples come from: this thread, or worker processes."""
    workers = parts.config.train.num_workers
    if workers == 0:
        return DirectFeed(parts.data.train)
    return WorkerFeed(parts.data.train, workers, pin_memory=parts.device.type == "cuda")


def make_memory_guard(training: Training, feed: Feed, around: Surroundings) -> MemoryGuard:
    """The forecast of other sizes, and the limit that they are held against."""
    parts = training.parts
    budget = parse_bytes(parts.config.memory.budget) if parts.config.memory.budget else None
    if budget is not None and parts.device.type == "cuda":
        enforce_on_cuda(parts.device, budget)

    def fake(rows: int) -> Forecast:
        (sample,) = feed.take(parts.cursor, BatchPlan(1, 1))
        return forecast_peak(parts.model, lambda model: _optimizer_for(parts, model), _step_of(parts), sample, rows)

    margin = CUDA_MARGIN if parts.device.type == "cuda" else CPU_MARGIN
    model = ForecastModel(fake, margin)
    return MemoryGuard(training.controls, model, lambda: memory_limit(parts.device, budget), around.observer)


def _optimizer_for(parts: Parts, model: nn.Module) -> Optimizer:
    return build_optimizer(parts.config, model.parameters())


def _step_of(parts: Parts) -> Callable[[nn.Module, Optimizer, Batch], None]:
    def step(model: nn.Module, optimizer: Optimizer, batch: Batch) -> None:
        optimizer.zero_grad(set_to_none=True)
        with autocast(parts.device, parts.config.run.precision):
            loss, _ = parts.objective(model, batch)
        loss.backward()
        optimizer.step()

    return step
