"""From a config to the parts of a training: data, model, loss, optimizer, order, schedule."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

import numpy
import torch

from bsmon.config.schema import Config, TargetSection
from bsmon.core.snapshot import RunInfo
from bsmon.engine.class_mix import class_probabilities
from bsmon.engine.compiled import CompileCounter, compile_model
from bsmon.engine.device import choose_device, device_name, set_threads
from bsmon.engine.order import EpochOrder, SampleCursor
from bsmon.engine.schedule import LearningRateSchedule
from bsmon.engine.tasks.data import build_data
from bsmon.engine.tasks.models import build_model
from bsmon.engine.tasks.objective import Objective, build_objective
from bsmon.engine.tasks.optimizers import build_optimizer
from bsmon.engine.tasks.task import TaskData


@dataclass(slots=True)
class Parts:
    """The parts of one training, built and on their device."""

    config: Config
    info: RunInfo
    device: torch.device
    data: TaskData
    model: torch.nn.Module
    runner: torch.nn.Module  # what forward passes call: the model, or the model behind torch.compile
    compiles: CompileCounter | None
    objective: Objective
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler | None
    cursor: SampleCursor
    schedule: LearningRateSchedule

    def left(self, step: int) -> float:
        """How much of the planned run is still to come when the update `step` (from 1) begins, 1..0."""
        run = self.config.run
        if run.max_steps is not None:
            return max(0.0, 1 - (step - 1) / run.max_steps)
        return max(0.0, 1 - self.cursor.consumed / ((run.epochs or 1) * self.cursor.epoch_samples))


def build(config: Config, waiting_for: Callable[[str], None], rank: int = 0) -> Parts:
    """Build everything, saying what it is at through `waiting_for`. Every rank builds the same, on its own device.

    Raises BadInput for what the person has to mend; errors of the person's own code pass through.
    """
    device = choose_device(config.run, rank)
    threads = set_threads(config, device)
    seed_everything(config.run.seed)
    waiting_for("loading the data")
    data = build_data(config)
    waiting_for("building the model")
    model = build_model(config, data).to(device)
    model.train()
    compiles = CompileCounter() if config.run.compile else None
    objective = build_objective(config, data)
    optimizer = build_optimizer(config, model.parameters())
    scaler = torch.amp.GradScaler(device.type) if config.run.precision == "fp16" else None
    samples = len(data.train)  # type: ignore[arg-type]  # build_data made sure that it has a length
    order = EpochOrder(samples, seed=config.run.seed, shuffle=config.train.shuffle, weights=data.sample_weights)
    info = _info(config, device, data, model, threads)
    return Parts(
        config=config,
        info=info,
        device=device,
        data=data,
        model=model,
        runner=model if compiles is None else compile_model(model, compiles),
        compiles=compiles,
        objective=objective,
        optimizer=optimizer,
        scaler=scaler,
        cursor=SampleCursor(order, drop_last=config.train.drop_last),
        schedule=LearningRateSchedule(config.schedule, samples, _planned_samples(config, samples)),
    )


def seed_everything(seed: int) -> None:
    """Seed every generator that training may draw from."""
    random.seed(seed)
    numpy.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def has_batchnorm(model: torch.nn.Module) -> bool:
    """Whether a layer normalises over the batch."""
    kinds = (torch.nn.modules.batchnorm._BatchNorm,)
    return any(isinstance(module, kinds) for module in model.modules())


def _planned_samples(config: Config, samples: int) -> int:
    """What the schedule spans: the epochs, or max_steps at the starting batch size."""
    if config.run.max_steps is not None:
        return config.run.max_steps * config.batch.size
    return (config.run.epochs or 1) * samples


def _info(config: Config, device: torch.device, data: TaskData, model: torch.nn.Module, threads: int) -> RunInfo:
    validation = data.validation
    return RunInfo(
        name=config.run.name,
        config_path=config.path,
        task=data.description,
        model=_model_name(config),
        optimizer=config.optimizer.name,
        device=str(device),
        device_name=device_name(device),
        world_size=config.run.world_size,
        precision=config.run.precision,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        train_samples=len(data.train),  # type: ignore[arg-type]  # as in build
        validation_samples=0 if validation is None else len(validation),  # type: ignore[arg-type]  # as in build
        epochs=config.run.epochs if config.run.max_steps is None else None,
        max_steps=config.run.max_steps,
        threads=threads,
        has_batchnorm=has_batchnorm(model),
        drop_last=config.train.drop_last,
        class_probabilities=class_probabilities(data.labels, data.sample_weights),
    )


def _model_name(config: Config) -> str:
    if isinstance(config.model, TargetSection):
        return config.model.target
    return str(type(config.model).__struct_config__.tag)
