"""The built-in losses, each the mean over the samples of a batch, and what counts as a correct answer."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  the name that the field uses

from bsmon.core.errors import BadInput

_IGNORED = -100  # cross_entropy leaves such targets out


def cross_entropy(scores: Tensor, targets: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Cross-entropy of class scores.

    Shapes: scores (batch, classes) with targets (batch,); (batch, length, classes) with (batch, length);
    (batch, classes, ...) with (batch, ...); or class probabilities of the scores' own shape. Raises BadInput else.
    """
    if targets.dim() == 1 and scores.dim() == 2 and targets.dtype is torch.int64:
        # The usual case without the flattening below, which would be one more operator forward and backward.
        if len(targets) != len(scores):
            raise _misfit("cross-entropy needs a score for every class of every target", scores, targets)
        return F.cross_entropy(scores, targets, label_smoothing=label_smoothing)
    if targets.shape == scores.shape and targets.is_floating_point():
        return F.cross_entropy(scores, targets, label_smoothing=label_smoothing)
    targets = targets.long()
    if targets.shape == scores.shape[:-1]:
        return F.cross_entropy(scores.flatten(0, -2), targets.flatten(), label_smoothing=label_smoothing)
    if _classes_second(scores, targets):
        return F.cross_entropy(scores, targets, label_smoothing=label_smoothing)
    raise _misfit("cross-entropy needs a score for every class of every target", scores, targets)


def mse(output: Tensor, targets: Tensor) -> Tensor:
    """Mean squared error; shapes alike, but for dimensions of 1. Raises BadInput else."""
    return F.mse_loss(output, _like(targets, output))


def l1(output: Tensor, targets: Tensor) -> Tensor:
    """Mean absolute error; shapes as for mse."""
    return F.l1_loss(output, _like(targets, output))


def bce(scores: Tensor, targets: Tensor) -> Tensor:
    """Binary cross-entropy of scores before the sigmoid; targets 0..1, shapes as for mse."""
    return F.binary_cross_entropy_with_logits(scores, _like(targets, scores))


def class_hits(scores: Tensor, targets: Tensor) -> tuple[Tensor, int] | None:
    """How many classes are right (a scalar tensor on their device), and of how many; None where these are no classes.

    Shapes as for cross_entropy with class numbers.
    """
    if targets.is_floating_point():
        return None
    if targets.shape == scores.shape[:-1]:
        guesses = scores.argmax(dim=-1)
    elif _classes_second(scores, targets):
        guesses = scores.argmax(dim=1)
    else:
        return None
    hits = (guesses == targets).sum()
    if targets.ndim == 1:
        return hits, targets.numel()
    return hits, int((targets != _IGNORED).sum())


def binary_hits(scores: Tensor, targets: Tensor) -> tuple[Tensor, int]:
    """How many yes-or-no answers are right, and of how many; a score above 0 is a yes."""
    return ((scores > 0) == (_like(targets, scores) > 0.5)).sum(), targets.numel()


def _classes_second(scores: Tensor, targets: Tensor) -> bool:
    return scores.ndim == targets.ndim + 1 and targets.shape == scores.shape[:1] + scores.shape[2:]


def _like(targets: Tensor, output: Tensor) -> Tensor:
    """Targets in the output's shape, as floats. Without it (batch,) against (batch, 1) would compare all with all."""
    if targets.shape != output.shape:
        if [size for size in targets.shape if size != 1] != [size for size in output.shape if size != 1]:
            raise _misfit("the loss needs an output for every target", output, targets)
        targets = targets.view_as(output)
    return targets if targets.is_floating_point() else targets.to(torch.get_default_dtype())


def _misfit(need: str, output: Tensor, targets: Tensor) -> BadInput:
    kind = "real numbers" if targets.is_floating_point() else "whole numbers"
    return BadInput(
        f"{need}: the model's output has shape {tuple(output.shape)}, the targets are {kind} of {tuple(targets.shape)}"
    )
