"""Parameters and gradients as flat vectors: whole, in pieces of bounded size, or a fixed sample of the elements."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor

CPU_PIECE = 1 << 17
"""Elements per piece on the CPU: 512 KiB in single precision stay in the cache between the passes over them."""
DEVICE_PIECE = 1 << 23
"""Elements per piece elsewhere: few kernels, and at most 32 MiB of memory for a joined piece."""

SAMPLE_LIMIT = 1 << 18
"""Elements in a sample, about. Smaller models are sampled whole."""
SAMPLE_EACH = 64
"""At least so many elements of every parameter (or all it has), so that a short bias is not missed."""


def flat(tensor: Tensor) -> Tensor:
    """The stored numbers of a dense, sparse or complex tensor as a real vector; a view where that is possible."""
    tensor = tensor.detach()
    if tensor.is_sparse:
        tensor = tensor.coalesce().values()
    if tensor.is_complex():
        tensor = torch.view_as_real(tensor)
    return tensor.reshape(-1)


def widened(vector: Tensor) -> Tensor:
    """Half-precision numbers in single precision, so that their sums and squares neither overflow nor vanish."""
    return vector.float() if vector.dtype in (torch.float16, torch.bfloat16) else vector


def exact_type(device: torch.device) -> torch.dtype:
    """The widest float type of a device; MPS has no double precision."""
    return torch.float32 if device.type == "mps" else torch.float64


def norms(tensors: Sequence[Tensor]) -> Tensor:
    """The 2-norm of each tensor; shape (len(tensors),)."""
    half = any(t.dtype in (torch.float16, torch.bfloat16) for t in tensors)
    found = torch._foreach_norm(list(tensors), dtype=torch.float32) if half else torch._foreach_norm(list(tensors))
    return torch.stack(found)


def pieces(vectors: Iterable[Tensor], limit: int | None = None) -> Iterator[Tensor]:
    """The numbers of many vectors, in order, as few vectors of at most `limit` elements each.

    Short ones are joined, because a pass over each of a hundred small vectors costs more than copying them together;
    long ones are cut without a copy. Vectors of equal lengths are always cut at equal places.
    """
    joined: list[Tensor] = []
    length = 0
    for vector in vectors:
        size = limit or (CPU_PIECE if vector.device.type == "cpu" else DEVICE_PIECE)
        if length and length + vector.numel() > size:
            yield _join(joined)
            joined, length = [], 0
        if vector.numel() >= size:
            yield from (widened(part) for part in torch.split(vector, size))
        elif vector.numel():
            joined.append(vector)
            length += vector.numel()
    if joined:
        yield _join(joined)


def _join(vectors: list[Tensor]) -> Tensor:
    return widened(torch.cat(vectors) if len(vectors) > 1 else vectors[0])


def inner_products(left: Sequence[Tensor], right: Sequence[Tensor]) -> Tensor:
    """(left.left, left.right, right.right) over all elements of two lists of equally long vectors; shape (3,)."""
    sums = [
        torch.stack((torch.dot(a, a), torch.dot(a, b), torch.dot(b, b)))
        for a, b in zip(pieces(left), pieces(right), strict=True)
    ]
    return torch.stack(sums).to(exact_type(left[0].device)).sum(0)


class Sample:
    """The same few elements of every parameter each time, evenly spread, for quantities that need a copy to compare.

    A stride is odd so that it does not fall into step with rows, whose lengths are mostly even. Where only one in k
    elements is taken, it stands for k: it is multiplied by sqrt(k), which makes squared norms and inner products of
    samples unbiased for those of the whole.
    """

    def __init__(self, parameters: Sequence[Tensor], limit: int = SAMPLE_LIMIT) -> None:
        total = sum(p.numel() for p in parameters) or 1
        self.parameters = tuple(parameters)
        self._strides = tuple(_stride(p.numel(), max(SAMPLE_EACH, p.numel() * limit // total)) for p in parameters)
        self.numbers = numbers = [2 * p.numel() if p.is_complex() else p.numel() for p in parameters]
        self.sizes = tuple(-(-n // stride) for n, stride in zip(numbers, self._strides, strict=True))
        self._factors: Tensor | None = None
        if any(stride > 1 for stride in self._strides):
            factors = [(n / m) ** 0.5 for n, m in zip(numbers, self.sizes, strict=True) if m]
            self._factors = torch.cat(
                [torch.full((m,), f) for f, m in zip(factors, (m for m in self.sizes if m), strict=True)]
            ).to(parameters[0].device)

    def weights(self) -> Tensor:
        """The sampled elements of the parameters as they are now; shape (sum of `sizes`,)."""
        return self._gather(flat(p) for p in self.parameters)

    def gradients(self) -> Tensor:
        """The sampled elements of the gradients; zero where a parameter has none, or a sparse one (an embedding's)."""
        return self._gather(
            p.new_zeros(1, dtype=p.real.dtype).expand(n) if p.grad is None or p.grad.is_sparse else flat(p.grad)
            for p, n in zip(self.parameters, self.numbers, strict=True)
        )

    def _gather(self, vectors: Iterable[Tensor]) -> Tensor:
        taken = [v if k == 1 else v[::k] for v, k in zip(vectors, self._strides, strict=True)]
        together = widened(torch.cat(taken))
        return together if self._factors is None else together.mul_(self._factors)


def _stride(elements: int, wanted: int) -> int:
    stride = -(-elements // wanted) if elements else 1
    return stride if stride % 2 else stride + 1
