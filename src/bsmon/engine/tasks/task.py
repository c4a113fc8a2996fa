"""What a task hands to the training loop: data, and what is known about them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor
from torch.utils.data import Dataset

Kind = Literal["classes", "numbers", "tokens", "own"]
"""What the targets are: one class a sample, real numbers, one token a position, or not known."""


class TensorBatches(Dataset[tuple[Tensor, ...]]):
    """Samples that live in tensors, rows first: one sample by index, or a whole batch at once through `fetch`.

    On a step of 0.3 ms, taking sample by sample and collating would be most of the training loop.
    """

    def __init__(self, *tensors: Tensor) -> None:
        self.tensors = tensors

    def __len__(self) -> int:
        return len(self.tensors[0])

    def __getitem__(self, index: int) -> tuple[Tensor, ...]:
        return tuple(tensor[index] for tensor in self.tensors)

    def fetch(self, indices: Tensor) -> tuple[Tensor, ...]:
        """The batch of these samples, in this order. Shape of indices: (rows,), int64, on the CPU."""
        return tuple([tensor[indices] for tensor in self.tensors])  # a list is quicker than a generator here


@dataclass(frozen=True, slots=True)
class TaskData:
    """Training and validation data with what the models, the loss, the sampler and the advisor need of them.

    Both data sets are map-style and have a length; the training set is not empty.
    """

    name: str  # "digits", or the target
    train: Dataset[Any]
    validation: Dataset[Any] | None
    kind: Kind
    input_shape: tuple[int, ...] | None  # of one sample; for tokens (context,); None where a sample is no tensor
    outputs: int | None  # classes, tokens in the vocabulary, or real numbers a sample; None where it is not known
    domain: Literal["images", "text", "other"]
    description: str  # one line for a person
    labels: Tensor | None = None  # classes of the training samples, int64, shape (n,)
    sample_weights: Tensor | None = None  # for WeightedRandomSampler, float64, shape (n,)
    files: tuple[str, ...] = ()  # read from outside bsmon
    data_paths: tuple[str, ...] = ()  # files or folders that samples come from, where that is known
