"""Going on from a checkpoint, with a config that may have changed since."""

from __future__ import annotations

from collections.abc import Mapping

from bsmon.core.ports import Observer
from bsmon.core.records import EventKind, Level
from bsmon.engine.plan import BatchPlan
from bsmon.engine.saver import Saver
from bsmon.engine.training import Training

Changes = Mapping[str, tuple[str, str]]
"""Setting -> (value then, value now), as TOML."""


def resume(training: Training, saver: Saver, changes: Changes, observer: Observer) -> None:
    """Put the newest good checkpoint in place. What the config says differently since then, it says from now on.

    Raises BadInput when there is no usable checkpoint, or when it is another model's or another data set's.
    """
    loaded = saver.load()
    for skipped in loaded.skipped:
        observer.event(EventKind.CHECKPOINT, Level.WARNING, f"checkpoint not used: {skipped}", loaded.step)
    training.restore(loaded.state)
    apply_changes(training, changes)
    observer.rewound(training.step)
    text = f"resumed from the checkpoint of step {training.step:,}"
    observer.event(EventKind.CHECKPOINT, Level.GOOD, text, training.step)
    if training.is_done:
        text = "this run has made all its steps; raise run.epochs or run.max_steps to train on"
        observer.event(EventKind.RUN, Level.WARNING, text, training.step)
    for setting, (then, now) in changes.items():
        text = f"the config has changed since: {setting} was {then}, is {now}"
        observer.event(EventKind.RUN, Level.WARNING, text, training.step)


def apply_changes(training: Training, changes: Changes) -> None:
    """Let the config's new values replace those that the checkpoint brought back."""
    config, controls = training.parts.config, training.controls
    if "batch.size" in changes:
        controls.go_back(BatchPlan.within(config.batch.size, config.batch.size), controls.base_learning_rate)
    if "optimizer.lr" in changes:
        controls.base_learning_rate = config.optimizer.lr
    for group in training.parts.optimizer.param_groups:
        for name, value in config.optimizer.arguments.items():
            if f"optimizer.{name}" in changes and name in group:
                group[name] = tuple(value) if isinstance(value, list) else value
