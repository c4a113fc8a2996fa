"""Task long-tail: synthetic classes whose frequencies fall by a power law."""

from __future__ import annotations

import torch
from torch import Tensor

from bsmon.config.schema import Config, LongTailData
from bsmon.engine.tasks.problems import problem
from bsmon.engine.tasks.split import hold_out
from bsmon.engine.tasks.task import TaskData, TensorBatches


def build_long_tail(config: Config, section: LongTailData) -> TaskData:
    """One Gaussian blob a class; weights for torch's WeightedRandomSampler draw all classes equally often.

    The data set of guidelines B, section 4, in small: long-tailed, with a weighted sampler. Two class means lie
    `separation` standard deviations apart on average. Raises BadInput where there are fewer samples than classes.
    """
    if section.samples < section.classes:
        raise problem(
            config.path,
            "data.samples",
            f"{section.samples:,} samples cannot hold {section.classes:,} classes; give at least one each",
        )
    generator = torch.Generator().manual_seed(config.run.seed)
    counts = class_counts(section.samples, section.classes, section.exponent)
    labels = torch.repeat_interleave(torch.arange(section.classes), counts)
    # The squared distance of two independent means is 2 x features x the variance of their entries.
    means = torch.randn(section.classes, section.features, generator=generator)
    means *= section.separation / (2 * section.features) ** 0.5
    inputs = means[labels] + torch.randn(section.samples, section.features, generator=generator)
    train, held = hold_out(config, section.samples, section.validation, generator)
    return TaskData(
        name="long-tail",
        train=TensorBatches(inputs[train], labels[train]),
        validation=TensorBatches(inputs[held], labels[held]) if len(held) else None,
        kind="classes",
        input_shape=(section.features,),
        outputs=section.classes,
        labels=labels[train],
        sample_weights=even_weights(labels[train]) if section.weighted else None,
        domain=section.domain or "other",
        description=f"synthetic, {section.classes:,} classes of {int(counts[0]):,} down to {int(counts[-1]):,} samples",
    )


def class_counts(samples: int, classes: int, exponent: float) -> Tensor:
    """Samples of each class, int64, shape (classes,), `samples` in all and at least 1 each.

    What is beyond that 1 is proportional to k^-exponent, the k-th class counted from 1.
    """
    shares = torch.arange(1, classes + 1, dtype=torch.float64) ** -exponent
    spare = (samples - classes) * shares / shares.sum()
    counts = 1 + spare.floor().long()
    # What rounding down left over goes to the largest remainders; a stable sort keeps equal ones in class order.
    left = samples - int(counts.sum())
    counts[torch.argsort(spare - spare.floor(), descending=True, stable=True)[:left]] += 1
    return counts.sort(descending=True).values


def even_weights(labels: Tensor) -> Tensor:
    """Weights that draw every class equally often: 1 / samples of the class. Float64, shape as labels."""
    return labels.bincount().double().reciprocal()[labels]
