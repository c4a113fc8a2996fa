"""A whole run on the calling thread: build, train, report the end."""

from __future__ import annotations

import traceback
from collections.abc import Callable

import torch

from bsmon.config.schema import Config
from bsmon.core.commands import LearningRateRule
from bsmon.core.errors import BadInput
from bsmon.core.ports import LearningRateScaling, Mailbox, Observer
from bsmon.core.records import EventKind, Level
from bsmon.core.snapshot import Failure, RunState
from bsmon.engine.build import Parts, build
from bsmon.engine.commander import Commander
from bsmon.engine.controls import Bounds, Controls
from bsmon.engine.feed import DirectFeed, Feed, WorkerFeed
from bsmon.engine.plan import BatchPlan
from bsmon.engine.trainer import Trainer
from bsmon.engine.update import Updater
from bsmon.engine.watch import Watch

WatchFactory = Callable[[Parts], Watch]
"""Makes whatever looks at the updates of a run, once its parts are built."""


def run(
    config: Config, observer: Observer, mailbox: Mailbox, scale: LearningRateScaling, make_watch: WatchFactory
) -> None:
    """Train as `config` says; whatever happens is told to `observer`, and nothing is raised."""
    try:
        parts = build(config, lambda what: observer.state(RunState.STARTING, what))
        check_sizes(parts)
        observer.run_info(parts.info)
        for file in parts.data.files:
            observer.event(EventKind.DATA, Level.INFO, f"using {file}", 0)
        state = assemble(parts, observer, mailbox, scale, make_watch(parts)).run()
        observer.state(state)
    except BadInput as error:
        observer.failed(Failure(str(error), "", bad_input=True))
    except BaseException as error:  # noqa: BLE001  the thread's last line of defence: the person must be told
        message = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        observer.failed(Failure(message, traceback.format_exc()))


def check_sizes(parts: Parts) -> None:
    """Raise BadInput where batch size and data do not go together, before the first step."""
    batch, samples = parts.config.batch, parts.info.train_samples or 0
    if batch.size > samples:
        raise BadInput(
            f"{parts.config.path}: batch.size = {batch.size}: more than the {samples:,} training samples; "
            f"use at most {samples}"
        )


def assemble(parts: Parts, observer: Observer, mailbox: Mailbox, scale: LearningRateScaling, watch: Watch) -> Trainer:
    """Put the parts of a training together."""
    config = parts.config
    batch = config.batch
    bounds = Bounds(batch.min, batch.max, parts.info.train_samples or 0)
    wanted = batch.size if batch.micro_batch_size == "auto" else batch.micro_batch_size
    plan = BatchPlan.within(batch.size, wanted)
    controls = Controls(plan, config.optimizer.lr, bounds, LearningRateRule(config.advisor.learning_rate_rule), scale)
    if batch.micro_batch_size != "auto":
        controls.wanted_micro_batch = batch.micro_batch_size
    updater = Updater(
        model=parts.model,
        objective=parts.objective,
        optimizer=parts.optimizer,
        device=parts.device,
        precision=config.run.precision,
        scaler=parts.scaler,
        grad_clip=config.train.grad_clip,
        watch=watch,
    )
    commander = Commander(controls, mailbox, observer, lambda: parts.schedule.factor(parts.cursor.consumed))
    return Trainer(parts, updater, make_feed(parts), commander, observer)


def make_feed(parts: Parts) -> Feed:
    """Where the training samples come from: this thread, or worker processes."""
    workers = parts.config.train.num_workers
    if workers == 0:
        return DirectFeed(parts.data.train)
    return WorkerFeed(parts.data.train, workers, pin_memory=torch.device(parts.device).type == "cuda")
