"""How many samples a run will have seen when it is done, and how long that takes."""

from __future__ import annotations

from dataclasses import dataclass

from bsmon.core.records import Step
from bsmon.core.snapshot import BatchState, RunInfo


@dataclass(frozen=True, slots=True)
class Evaluations:
    """What the evaluations so far took, and how many samples were trained on until the last of them."""

    seconds: float = 0.0
    samples: int = 0

    def and_one(self, seconds: float, samples: int) -> Evaluations:
        """These and one more, after so many samples."""
        return Evaluations(self.seconds + seconds, samples)


def seconds_left(samples: int, samples_per_second: float, evaluations: Evaluations) -> float:
    """Time for so many more samples, with evaluations as often as up to now; before the first one none is reckoned."""
    evaluating = evaluations.seconds / evaluations.samples if evaluations.samples else 0.0
    return samples * (1 / samples_per_second + evaluating)


def total_samples(info: RunInfo, step: Step | None, batch: BatchState | None, epoch_began_at: int) -> int | None:
    """Samples that the run will have seen at its end if the batch size stays; None while that is not known.

    `step` is the last one made, `epoch_began_at` the samples seen before its epoch.
    """
    if batch is None:
        return None
    seen = step.samples if step is not None else 0
    if info.max_steps is not None:
        return seen + max(0, info.max_steps - (step.step if step is not None else 0)) * batch.batch_size
    if info.epochs is None or info.train_samples is None:
        return None
    left = info.train_samples - (seen - epoch_began_at)
    epochs_left = info.epochs - (step.epoch if step is not None else 1)
    # With drop_last the short rest of every epoch is never seen.
    rests = [info.train_samples % batch.batch_size, left % batch.batch_size] if info.drop_last else [0, 0]
    return seen + left - rests[1] + epochs_left * (info.train_samples - rests[0])
