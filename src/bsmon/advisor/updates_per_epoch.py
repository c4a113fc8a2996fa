"""Updates per epoch and what they are worth: guidelines A, section 2, and C, part 5 (number of mini-batches)."""

from __future__ import annotations

from enum import StrEnum

# A section 2: "aim for 10-100 updates per epoch"; its table calls 7-8 OK, 3-4 marginal and 2 too few.
GOOD = 10
PLENTY = 100
OK = 7
MARGINAL = 3

SOURCE = "A section 2"


class UpdatesVerdict(StrEnum):
    """The verdict in the document's words; PLENTY is above the range to aim for, which does no harm."""

    PLENTY = "plenty"
    GOOD = "good"
    OK = "OK"
    MARGINAL = "marginal"
    TOO_FEW = "too few"


def updates_per_epoch(dataset_size: int, batch_size: int, *, drop_last: bool = False) -> int:
    """Weight updates in one pass over the data: ceil(N / B) (C, part 5), floor(N / B) without the short last one."""
    return dataset_size // batch_size if drop_last else -(-dataset_size // batch_size)


def updates_verdict(dataset_size: int, batch_size: int) -> UpdatesVerdict:
    """The verdict on N / B.

    Taken on the ratio, as in the table (480 / 64 is "7-8"), and not on the rounded count.
    """
    ratio = dataset_size / batch_size
    if ratio > PLENTY:
        return UpdatesVerdict.PLENTY
    if ratio >= GOOD:
        return UpdatesVerdict.GOOD
    if ratio >= OK:
        return UpdatesVerdict.OK
    return UpdatesVerdict.MARGINAL if ratio >= MARGINAL else UpdatesVerdict.TOO_FEW


def largest_batch_size(dataset_size: int, updates: int = OK) -> int:
    """The largest batch size with so many updates per epoch, by default those that the table still calls OK; >= 1."""
    return max(1, dataset_size // updates)


def flavour(batch_size: int, dataset_size: int | None) -> str:
    """The name of this kind of gradient descent (C, parts 1 and 11): stochastic, mini-batch or full batch."""
    if dataset_size is not None and batch_size >= dataset_size:
        return "full batch"
    return "stochastic" if batch_size == 1 else "mini-batch"
