"""What must hold between the values of a config, beyond each one by itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import singledispatch

from bsmon.config.base import Section
from bsmon.config.problems import Problem
from bsmon.config.schema import (
    Batch,
    CharTransformerModel,
    Memory,
    NamedLoss,
    Optimizer,
    Run,
    Schedule,
)
from bsmon.config.sizes import parse_bytes


def check_rules(sections: Mapping[str, Section]) -> Iterator[Problem]:
    """Problems of the sections that are right by themselves."""
    for section in sections.values():
        yield from _check(section)
    run, schedule = sections.get("run"), sections.get("schedule")
    if isinstance(run, Run) and isinstance(schedule, Schedule):
        yield from _warmup_ends(run, schedule)


@singledispatch
def _check(_section: Section) -> Iterator[Problem]:
    """Problems of one section; most have no rules."""
    yield from ()


@_check.register
def _run(run: Run) -> Iterator[Problem]:
    if run.epochs is not None and run.max_steps is not None:
        yield Problem(("run", "max_steps"), f"give epochs (here {run.epochs}) or max_steps, not both", run.max_steps)
    if run.precision == "fp16" and run.device == "cpu":
        yield Problem(("run", "precision"), 'fp16 needs a GPU; on the CPU use "fp32" or "bf16"', run.precision)
    if run.world_size > 1 and (":" in run.device or run.device == "mps"):
        text = f'with world_size = {run.world_size} every rank has a device of its own; use "cuda", "cpu" or "auto"'
        yield Problem(("run", "device"), text, run.device)
    if not run.name.isprintable() or run.name.startswith(".") or "/" in run.name or "\\" in run.name:
        text = "the run's folder is named for it: use printable characters without / or \\, and no dot in front"
        yield Problem(("run", "name"), text, run.name)


@_check.register
def _schedule(schedule: Schedule) -> Iterator[Problem]:
    standard = Schedule()
    shapes = {"step_epochs": ("step",), "gamma": ("step",), "final": ("cosine", "linear")}
    for name, of in shapes.items():
        value = getattr(schedule, name)
        if value != getattr(standard, name) and schedule.name not in of:
            text = f'this does nothing with name = "{schedule.name}"; it belongs to {" and ".join(of)}'
            yield Problem(("schedule", name), text, value)


def _warmup_ends(run: Run, schedule: Schedule) -> Iterator[Problem]:
    if run.epochs is not None and schedule.warmup_epochs > run.epochs:
        text = f"the warm-up would not end: the run has {run.epochs} epochs"
        yield Problem(("schedule", "warmup_epochs"), text, schedule.warmup_epochs)


@_check.register
def _batch(batch: Batch) -> Iterator[Problem]:
    if batch.max is not None and batch.max < batch.min:
        yield Problem(("batch", "max"), f"this is below min = {batch.min}", batch.max)
        return
    if batch.size < batch.min:
        yield Problem(("batch", "size"), f"this is below min = {batch.min}", batch.size)
    if batch.max is not None and batch.size > batch.max:
        yield Problem(("batch", "size"), f"this is above max = {batch.max}", batch.size)
    if batch.micro_batch_size != "auto" and batch.micro_batch_size > batch.size:
        text = f"this is above size = {batch.size}; a micro batch is a part of a batch"
        yield Problem(("batch", "micro_batch_size"), text, batch.micro_batch_size)


@_check.register
def _memory(memory: Memory) -> Iterator[Problem]:
    if memory.budget is not None and parse_bytes(memory.budget) == 0:
        yield Problem(
            ("memory", "budget"), "nothing can be trained in no memory; leave it out for no limit", memory.budget
        )


@_check.register
def _loss(loss: NamedLoss) -> Iterator[Problem]:
    if loss.label_smoothing > 0 and loss.name not in ("auto", "cross-entropy"):
        text = f'this does nothing with name = "{loss.name}"; it belongs to cross-entropy'
        yield Problem(("loss", "label_smoothing"), text, loss.label_smoothing)


@_check.register
def _char_transformer(model: CharTransformerModel) -> Iterator[Problem]:
    if model.width % model.heads != 0:
        above = (model.width // model.heads + 1) * model.heads
        yield Problem(("model", "width"), f"not a multiple of heads = {model.heads}; {above} is", model.width)


@_check.register
def _optimizer(optimizer: Optimizer) -> Iterator[Problem]:
    if "learning_rate" in optimizer.arguments:
        value = optimizer.arguments["learning_rate"]
        yield Problem(("optimizer", "learning_rate"), "torch.optim calls it lr; did you mean optimizer.lr?", value)
