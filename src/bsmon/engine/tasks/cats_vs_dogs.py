"""Task cats-vs-dogs: the synthetic set of the guidelines' complete training example (C, part 7)."""

from __future__ import annotations

import torch
from torch import Tensor

from bsmon.config.schema import CatsVsDogsData, Config
from bsmon.engine.tasks.task import TaskData, TensorBatches


def build_cats_vs_dogs(config: Config, section: CatsVsDogsData) -> TaskData:
    """Standard normal vectors with random labels, cat = 0 and dog = 1, in the order in which the guidelines draw them.

    With seed 42, the default sizes and signal 0 these are the very numbers of the guidelines' `torch.manual_seed(42)`.
    `signal` moves the two classes' means that many standard deviations apart, along the diagonal.
    """
    generator = torch.Generator().manual_seed(config.run.seed)
    inputs, labels = _draw(section.samples, section, generator)
    held_inputs, held_labels = _draw(section.validation_samples, section, generator)
    lesson = (
        f"the classes' means are {section.signal:g} standard deviations apart"
        if section.signal
        else "the labels are random: there is nothing to learn but the training set by heart"
    )
    return TaskData(
        name="cats-vs-dogs",
        train=TensorBatches(inputs, labels),
        validation=TensorBatches(held_inputs, held_labels) if len(held_labels) else None,
        kind="classes",
        input_shape=(section.features,),
        outputs=2,
        labels=labels,
        domain=section.domain or "other",
        description=f"synthetic, {section.features:,} random numbers a sample, 2 classes; {lesson}",
    )


def _draw(samples: int, section: CatsVsDogsData, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    inputs = torch.randn(samples, section.features, generator=generator)
    labels = torch.randint(0, 2, (samples,), generator=generator)
    if section.signal:
        # Each feature carries an equal part, so that the distance between the means is `signal`.
        inputs += (labels.unsqueeze(1) - 0.5) * (section.signal / section.features**0.5)
    return inputs, labels
