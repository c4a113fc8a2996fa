"""Task text: next-character prediction on a text."""

from __future__ import annotations

import numpy
import torch
from torch import Tensor
from torch.utils.data import Dataset

from bsmon.config.schema import Config, TextData
from bsmon.engine.tasks.task import TaskData
from bsmon.engine.tasks.text_file import divide, read_text, windows


class TextWindows(Dataset[tuple[Tensor, Tensor]]):
    """Windows of `context` tokens, `stride` apart; the target of each position is the token that follows it."""

    def __init__(self, tokens: Tensor, context: int, stride: int) -> None:
        self._tokens = tokens
        self._stride = stride
        self._offsets = torch.arange(context + 1)
        self._windows = windows(len(tokens), context, stride)

    def __len__(self) -> int:
        return self._windows

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        if not 0 <= index < self._windows:
            raise IndexError(index)
        inputs, targets = self.fetch(torch.tensor([index]))
        return inputs[0], targets[0]

    def fetch(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Inputs and targets, both int64 of shape (rows, context), for window numbers of shape (rows,)."""
        # Stored as int32, because a long text is read for every epoch; embeddings and losses want int64.
        windows = self._tokens[indices.unsqueeze(1) * self._stride + self._offsets].long()
        return windows[:, :-1], windows[:, 1:]


def build_text(config: Config, section: TextData) -> TaskData:
    """A text as windows of characters; the vocabulary is the characters that occur, in code-point order.

    Without a path: Jane Austen, "Pride and Prejudice", chapters 1 to 12; see carried/README.md.
    Raises BadInput for a file that is missing, is not UTF-8, or is too short for a single window.
    """
    source = read_text(config, section)
    tokens, vocabulary = encode(source.text)
    cut, held = divide(config, section, len(tokens))
    stride = section.stride or section.context
    files = () if source.path is None else (str(source.path),)
    return TaskData(
        name="text",
        train=TextWindows(tokens[:cut], section.context, stride),
        # The windows do not overlap, whatever the stride: validation counts each character once.
        validation=TextWindows(tokens[cut:], section.context, section.context) if held else None,
        kind="tokens",
        input_shape=(section.context,),
        outputs=vocabulary,
        domain=section.domain or "text",
        description=f"{source.name}: {len(tokens):,} characters, {vocabulary} different, {section.context} a sample",
        files=files,
        data_paths=files,
    )


def encode(text: str) -> tuple[Tensor, int]:
    """Token numbers of a text, int32, shape (characters,), and how many different ones there are."""
    codes = numpy.frombuffer(text.encode("utf-32-le"), dtype=numpy.uint32)
    present = numpy.flatnonzero(numpy.bincount(codes)) if len(codes) else codes
    numbers = numpy.zeros(int(present[-1]) + 1 if len(present) else 0, dtype=numpy.int32)
    numbers[present] = numpy.arange(len(present))
    return torch.from_numpy(numbers[codes]), len(present)
