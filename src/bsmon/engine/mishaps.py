"""What a person is told when a training cannot go on, beyond the error itself."""

from __future__ import annotations

from bsmon.core.errors import RunCannotGoOnError

HOW_TO_GO_ON = (
    'A smaller model, [run] precision = "bf16" or a larger [memory] budget helps; the weights are saved, '
    "--resume goes on from them."
)


class NonFiniteLossError(RunCannotGoOnError):
    """The loss is no number any more, and the config asks to stop then."""


class RankLostError(RunCannotGoOnError):
    """Another rank's process has ended; the message says which and how."""

    def __init__(self, message: str, *, weights_are_whole: bool = False) -> None:
        """`weights_are_whole`: the last update was made of every rank's gradients, so that it can be saved."""
        super().__init__(message)
        self.weights_are_whole = weights_are_whole


def lost_rank_note(error: RankLostError, step: int) -> str:
    """How a run that has lost a rank goes on."""
    if error.weights_are_whole:
        return f"{error}. The weights are saved; --resume goes on from step {step:,}."
    return f"{error}. --resume goes on from the last checkpoint."


def batch_note(error: Exception, count: int, batch_size: int) -> str | None:
    """What a person may not think of when their model fails on a batch of `count` samples; None where nothing is known.

    C, part 10: the last batch of an epoch. C, part 9: BatchNorm and batches of one sample.
    """
    if count < batch_size:
        return (
            f"bsmon: this was the epoch's last batch, with {count} samples instead of {batch_size}; "
            "[train] drop_last = true leaves it out."
        )
    if "more than 1 value per channel" in str(error):
        return (
            "bsmon: BatchNorm cannot train on one sample at a time. It needs micro batches of 16 samples or more, "
            "better 32; GroupNorm and LayerNorm train on any number."
        )
    return None
