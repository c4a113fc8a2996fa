"""When and on what the model is evaluated during a run."""

from __future__ import annotations

from collections.abc import Callable

import torch

from bsmon.core.records import Evaluation
from bsmon.engine.build import Parts
from bsmon.engine.evaluate import evaluate

_TRAIN_SAMPLES = 1024  # enough for a gap of a few per cent, and a small part of an epoch


class Evaluator:
    """Runs the validation set, and a fixed part of the training set beside it."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._at_step = 0
        samples = parts.info.train_samples or 0
        # A generator of its own: evaluating must not change what training draws.
        generator = torch.Generator().manual_seed(parts.config.run.seed)
        self._train_part = torch.randperm(samples, generator=generator)[:_TRAIN_SAMPLES].sort().values
        self._validation = torch.arange(parts.info.validation_samples or 0)

    def is_needed(self, step: int) -> bool:
        """Whether there is a validation set, and these very weights were not evaluated already."""
        return len(self._validation) > 0 and step != self._at_step

    def run(self, step: int, epoch: int, interrupted: Callable[[], bool]) -> Evaluation | None:
        """Evaluate the present weights; None when interrupted."""
        parts = self._parts
        assert parts.data.validation is not None, "see is_needed"
        results = []
        for dataset, indices in ((parts.data.validation, self._validation), (parts.data.train, self._train_part)):
            result = evaluate(
                parts.model,
                parts.objective,
                dataset,
                indices,
                batch_size=parts.config.train.eval_batch_size,
                device=parts.device,
                precision=parts.config.run.precision,
                interrupted=interrupted,
            )
            if result is None:
                return None
            results.append(result)
        self._at_step = step
        (loss, accuracy, seconds), (train_loss, train_accuracy, train_seconds) = results
        samples = len(self._validation)
        return Evaluation(step, epoch, loss, accuracy, samples, seconds + train_seconds, train_loss, train_accuracy)
