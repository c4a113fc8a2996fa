"""Task digits: 1,797 real handwritten digits, 8x8 pixels, 10 classes."""

from __future__ import annotations

from importlib.resources import as_file, files

import numpy
import torch

from bsmon.config.schema import Config, DigitsData, MlpModel
from bsmon.engine.tasks.split import hold_out
from bsmon.engine.tasks.task import TaskData, TensorBatches

_BRIGHTEST = 16  # pixels are counts of ink in 4x4 blocks, 0..16


def build_digits(config: Config, section: DigitsData) -> TaskData:
    """The digits with pixels scaled to 0..1, as 1x8x8 images or as rows of 64 numbers.

    Source: Alpaydin and Kaynak (1998), UCI Machine Learning Repository; see carried/README.md.
    """
    with as_file(files("bsmon.engine.tasks") / "carried" / "digits.npz") as path, numpy.load(path) as arrays:
        images = torch.from_numpy(arrays["x"]).float().div_(_BRIGHTEST).unsqueeze_(1)
        labels = torch.from_numpy(arrays["y"]).long()
    flat = isinstance(config.model, MlpModel) if section.flat is None else section.flat
    inputs = images.flatten(1) if flat else images
    generator = torch.Generator().manual_seed(config.run.seed)
    train, held = hold_out(config, len(labels), section.validation, generator)
    return TaskData(
        name="digits",
        train=TensorBatches(inputs[train], labels[train]),
        validation=TensorBatches(inputs[held], labels[held]) if len(held) else None,
        kind="classes",
        input_shape=tuple(inputs.shape[1:]),
        outputs=10,
        labels=labels[train],
        domain=section.domain or "images",
        description=f"{len(labels):,} real handwritten digits, 8x8 pixels, 10 classes",
    )
