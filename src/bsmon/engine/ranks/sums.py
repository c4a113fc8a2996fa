"""The gradients of all ranks, added up in few large pieces."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from bsmon.core.errors import BadInput
from bsmon.engine.ranks.group import Group
from bsmon.engine.ranks.orders import Present


class GradientSums:
    """One flat tensor per number type, as long as all gradients of it: what is sent, and what `.grad` is afterwards.

    So it costs memory once (as much as the gradients), one copy an update, and nothing is allocated between the moment
    that every rank is ready and the sum. The loss and the ranks' squared norms travel along, in single precision.
    """

    def __init__(self, parameters: Sequence[Tensor], device: torch.device, world_size: int) -> None:
        self._parameters = [p for p in parameters if p.requires_grad]
        self._frozen = [p for p in parameters if not p.requires_grad]
        self._views: list[Tensor] = []
        kinds = dict.fromkeys([torch.float32, *(p.dtype for p in self._parameters)])
        sizes = {kind: sum(p.numel() for p in self._parameters if p.dtype == kind) for kind in kinds}
        extra = 1 + world_size
        self._flat = {
            kind: torch.zeros(size + extra * (kind is torch.float32), dtype=kind, device=device)
            for kind, size in sizes.items()
        }
        places = dict.fromkeys(kinds, 0)
        for parameter in self._parameters:
            self._views.append(_view(self._flat[parameter.dtype], places[parameter.dtype], parameter))
            places[parameter.dtype] += parameter.numel()
        tail = self._flat[torch.float32][-extra:]
        self._loss, self._squares = tail[0], tail[1:]

    @property
    def size_bytes(self) -> int:
        """What it holds, all the time."""
        return sum(flat.nbytes for flat in self._flat.values())

    @torch.no_grad()
    def put(self, loss: Tensor) -> Present:
        """Copy this rank's gradients, and its part of the loss, to where they are sent from.

        Returns which weights have a gradient. Raises BadInput for gradients that cannot be added up.
        """
        gradients = [p.grad for p in self._parameters]
        self._check(gradients)
        pairs = [(view, g) for view, g in zip(self._views, gradients, strict=True) if g is not None]
        if len(pairs) < len(self._views):
            torch._foreach_zero_([v for v, g in zip(self._views, gradients, strict=True) if g is None])
        if pairs:
            torch._foreach_copy_([view for view, _ in pairs], [gradient for _, gradient in pairs])
        self._loss.copy_(loss)
        self._squares.zero_()
        return None if len(pairs) == len(self._views) else tuple(g is not None for g in gradients)

    @torch.no_grad()
    def put_square(self, rank: int) -> None:
        """Also send the squared norm of what `put` has put."""
        # The tail holds the loss and zeros by now: it is no part of the gradient.
        tail = 1 + len(self._squares)
        parts = [flat[:-tail] if kind is torch.float32 else flat for kind, flat in self._flat.items()]
        self._squares[rank] = torch.stack([_square(part) for part in parts]).sum()

    @torch.no_grad()
    def add_up(self, group: Group, present: Present) -> None:
        """Add up over all ranks; `.grad` is the sum then, of the weights that any rank has a gradient for."""
        for flat in self._flat.values():
            group.add_up(flat)
        for index, (parameter, view) in enumerate(zip(self._parameters, self._views, strict=True)):
            parameter.grad = view if present is None or present[index] else None

    def loss(self) -> Tensor:
        """The sum of the ranks' parts of the loss, a scalar; a copy."""
        return self._loss.clone()

    @property
    def squares(self) -> Tensor:
        """Squared norms of what each rank contributed, shape (world_size,); valid until the next `put`."""
        return self._squares

    def _check(self, gradients: Sequence[Tensor | None]) -> None:
        if any(g is not None and g.layout is not torch.strided for g in gradients):
            raise BadInput("run.world_size: a sparse gradient cannot be added up over ranks; use dense embeddings")
        if any(p.grad is not None for p in self._frozen):
            raise BadInput("run.world_size: a weight that was frozen at the start is trained now; ranks cannot follow")


def _view(flat: Tensor, offset: int, parameter: Tensor) -> Tensor:
    """Where a parameter's gradient lies, with the parameter's own strides: a fused optimizer wants them alike."""
    strides = torch.empty_like(parameter, device="meta").stride()
    return flat.as_strided(parameter.shape, strides, offset)


def _square(flat: Tensor) -> Tensor:
    if flat.dtype in (torch.float32, torch.float64):
        return torch.dot(flat, flat).float()
    norm: Tensor = torch.linalg.vector_norm(flat, dtype=None if flat.is_complex() else torch.float32)
    return norm.float().square()


def union(presents: Sequence[Present]) -> Present:
    """The weights that a gradient reached on any rank."""
    if any(present is None for present in presents):
        return None
    return tuple(any(flags) for flags in zip(*(present for present in presents if present is not None), strict=True))
