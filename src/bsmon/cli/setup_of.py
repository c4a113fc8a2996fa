"""From a config to what the guidelines' checks look at, without torch unless the data must be built."""

from __future__ import annotations

from dataclasses import replace

from bsmon.advisor.checks import Setup
from bsmon.config.schema import CharTransformerModel, Config, LongTailData, TargetSection
from bsmon.config.sizes import parse_bytes
from bsmon.core.commands import LearningRateRule
from bsmon.engine.tasks.sizes import data_size

# What torch.optim does where the config gives no weight_decay. An optimizer that is not named here is not known.
_DEFAULT_WEIGHT_DECAY = {"AdamW": 0.01, "Adam": 0.0, "SGD": 0.0, "RMSprop": 0.0, "NAdam": 0.0, "RAdam": 0.0}


def setup_of(config: Config) -> Setup:
    """What a config says about its training; None for what only building data and model would tell.

    Raises BadInput for a data file that is missing or cannot be read.
    """
    size = data_size(config)
    return Setup(
        dataset_size=size.samples,
        batch_size=config.batch.size,
        micro_batch_size=_micro_batch_size(config),
        learning_rate=config.optimizer.lr,
        optimizer=config.optimizer.name,
        domain=size.domain,
        memory_bytes=None if config.memory.budget is None else parse_bytes(config.memory.budget),
        has_batchnorm=_has_batchnorm(config),
        shuffle=config.train.shuffle,
        weighted_sampler=isinstance(config.data, LongTailData) and config.data.weighted,
        drop_last=config.train.drop_last,
        eval_batch_size=config.train.eval_batch_size,
        eval_mode=True,  # bsmon's own loop always validates so
        learning_rate_rule=LearningRateRule(config.advisor.learning_rate_rule),
        weight_decay=_weight_decay(config),
        dropout=None if isinstance(config.model, TargetSection) else config.model.dropout,
    )


def built(config: Config, setup: Setup) -> Setup:
    """The same, with what the built data and model tell. Imports torch, and runs the config's own targets.

    Raises BadInput as a training would; errors of the person's own code pass through.
    """
    from bsmon.engine.build import build

    parts = build(config, lambda _: None)
    return replace(
        setup,
        dataset_size=parts.info.train_samples,
        domain=parts.data.domain,
        has_batchnorm=parts.info.has_batchnorm,
        weighted_sampler=parts.data.sample_weights is not None,
    )


def _micro_batch_size(config: Config) -> int | None:
    """The person's own; with several ranks at most what one of them takes; None for the whole batch."""
    wanted, ranks = config.batch.micro_batch_size, config.run.world_size
    share = -(-config.batch.size // ranks)
    if wanted == "auto":
        return None if ranks == 1 else share
    return min(wanted, share)


def _has_batchnorm(config: Config) -> bool | None:
    if isinstance(config.model, TargetSection):
        return None
    return not isinstance(config.model, CharTransformerModel) and config.model.norm == "batch"


def _weight_decay(config: Config) -> float | None:
    given = config.optimizer.arguments.get("weight_decay")
    if isinstance(given, (int, float)) and not isinstance(given, bool):
        return float(given)
    return _DEFAULT_WEIGHT_DECAY.get(config.optimizer.name)
