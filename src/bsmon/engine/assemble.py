"""Puts the parts of a training together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bsmon.core.commands import LearningRateRule
from bsmon.engine.build import Parts
from bsmon.engine.changes import ChangeLog
from bsmon.engine.checkpoint import CheckpointStore
from bsmon.engine.commander import Commander
from bsmon.engine.controls import Bounds, Controls
from bsmon.engine.feed import DirectFeed, Feed, WorkerFeed
from bsmon.engine.keeper import StepKeeper
from bsmon.engine.memory_setup import make_memory_guard, make_peaks, memory_budget
from bsmon.engine.plan import BatchPlan
from bsmon.engine.probation import Probation
from bsmon.engine.ranks.patience import Patience
from bsmon.engine.ranks.updater import ranked
from bsmon.engine.recovery import Recovery
from bsmon.engine.resume import resume
from bsmon.engine.saver import Saver
from bsmon.engine.script import ScriptedMailbox
from bsmon.engine.speed_probe import SpeedProbe
from bsmon.engine.trainer import Trainer
from bsmon.engine.training import Training
from bsmon.engine.update import Updater
from bsmon.engine.watch import Timer, Watch

if TYPE_CHECKING:
    from bsmon.engine.ranks.team import Team
    from bsmon.engine.run import Surroundings


def assemble(parts: Parts, watch: Watch, timer: Timer, around: Surroundings, team: Team | None = None) -> Trainer:
    """Everything that a training needs around its parts. `team`: the other ranks, where there are some."""
    config, observer = parts.config, around.observer
    training = Training(parts, make_controls(parts, around))
    saver = Saver(
        CheckpointStore(around.checkpoints, config.checkpoint.keep), config.checkpoint, observer, training.capture
    )
    feed = make_feed(parts)
    budget = memory_budget(parts)
    memory = make_memory_guard(training, budget, observer)
    training.controls.fit = memory.largest_micro_batch
    peaks = make_peaks(parts, budget)
    updater = make_updater(parts, watch, timer)
    if team is not None:
        updater = ranked(updater, training, team)
        team.while_waiting = Patience(observer, around.mailbox, lambda: training.step)
    keeper = StepKeeper(parts.model, parts.optimizer, parts.scaler)
    changes = ChangeLog(training.controls, training.capture)
    probation = Probation()
    mailbox = ScriptedMailbox(around.mailbox, around.script, lambda: training.step)
    commander = Commander(training, changes, probation, mailbox, observer, saver, memory)

    def ran_out(micro_batch_size: int, reason: str) -> None:
        memory.ran_out(micro_batch_size, reason, training.step)
        commander.announce_plan()

    if around.resume:
        resume(training, saver, around.changes, observer)
    wants_speed = parts.config.advisor.mode != "off"
    speed = SpeedProbe(training, updater, keeper, memory.largest_micro_batch, observer) if wants_speed else None
    recovery = Recovery(updater, keeper, peaks, ran_out)
    return Trainer(
        training,
        recovery,
        feed,
        commander,
        probation,
        memory,
        peaks,
        saver,
        speed,
        watch,
        timer,
        observer,
        around.elapsed(),
    )


def make_controls(parts: Parts, around: Surroundings) -> Controls:
    """Batch plan and learning rate as the config starts them."""
    config, batch = parts.config, parts.config.batch
    bounds = Bounds(batch.min, batch.max, parts.info.train_samples or 0)
    own = None if batch.micro_batch_size == "auto" else batch.micro_batch_size
    plan = BatchPlan.within(batch.size, own or batch.size, config.run.world_size)
    rule = LearningRateRule(config.advisor.learning_rate_rule)
    controls = Controls(plan, config.optimizer.lr, bounds, rule, around.scale)
    controls.wanted_micro_batch = own
    return controls


def make_updater(parts: Parts, watch: Watch, timer: Timer) -> Updater:
    """What makes one update."""
    return Updater(
        model=parts.runner,
        objective=parts.objective,
        optimizer=parts.optimizer,
        device=parts.device,
        precision=parts.config.run.precision,
        scaler=parts.scaler,
        grad_clip=parts.config.train.grad_clip,
        watch=watch,
        timer=timer,
        dynamic=parts.compiles is not None,
    )


def make_feed(parts: Parts, rank: int = 0) -> Feed:
    """Where a rank's training samples come from: this thread, or worker processes."""
    workers = parts.config.train.num_workers
    if workers == 0:
        return DirectFeed(parts.data.train, rank)
    return WorkerFeed(parts.data.train, workers, pin_memory=parts.device.type == "cuda", rank=rank)
