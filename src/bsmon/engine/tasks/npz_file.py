"""Reading arrays x, y, x_val and y_val of a .npz file as tensors, each fault named."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy
import torch
from numpy.typing import NDArray
from torch import Tensor

from bsmon.config.nearest import nearest

Pair = tuple[Tensor, Tensor]
"""Inputs and targets, rows first: float32 or int64."""

_NAMES = ("x", "y", "x_val", "y_val")


def read_pairs(path: Path, problem: Callable[[str], Exception]) -> tuple[Pair, Pair | None]:
    """Training arrays and, where the file has them, validation arrays. Nothing is unpickled.

    Raises what `problem` makes of a sentence: unreadable file, missing or empty array, unequal lengths, NaN or
    infinity, other than numbers, validation samples of another shape.
    """
    try:
        arrays, others = _load(path)
    except (OSError, ValueError, EOFError, NotImplementedError, zipfile.BadZipFile, zlib.error) as error:
        raise problem(f'"{path.name}" cannot be read as a NumPy .npz file: {error}') from error
    names = ("x", "y", "x_val", "y_val") if "x_val" in arrays or "y_val" in arrays else ("x", "y")
    for name in names:
        if name not in arrays:
            raise problem(_missing(path.name, name, [*arrays, *others]))
    try:
        tensors = {name: _tensor(name, arrays[name]) for name in names}
        train = _pair(tensors, "x", "y")
        held = _pair(tensors, "x_val", "y_val") if "x_val" in tensors else None
        if held is not None:
            _check_alike(train, held)
    except _UnusableError as error:
        raise problem(f'"{path.name}": {error}') from error
    return train, held


class _UnusableError(Exception):
    """An array that cannot be trained on; the message is a sentence about it."""


def _load(path: Path) -> tuple[dict[str, NDArray[Any]], list[str]]:
    """The arrays by name, and the names of arrays that a task does not use."""
    with path.open("rb") as file:
        loaded = numpy.load(file, allow_pickle=False)
        if isinstance(loaded, numpy.ndarray):  # a .npy file: one array without a name
            return {}, []
        arrays = {name: loaded[name] for name in loaded.files if name in _NAMES}
        return arrays, [name for name in loaded.files if name not in _NAMES]


def _missing(file: str, name: str, there: list[str]) -> str:
    if not there:
        return f'"{file}" has no array "{name}"; save it with numpy.savez(file, x=inputs, y=targets)'
    match = nearest(name, there)
    hint = "" if match is None or match in _NAMES else f', rename "{match}"?'
    return f'"{file}" has no array "{name}"{hint}; it has {", ".join(there)}'


def _tensor(name: str, array: NDArray[Any]) -> Tensor:
    """As float32 or int64, finite, not empty."""
    if array.dtype.kind not in "biuf":
        raise _UnusableError(f"{name} holds {array.dtype}, not numbers")
    if array.ndim == 0 or array.size == 0:
        raise _UnusableError(f"{name} is empty: its shape is {array.shape}")
    if array.dtype.kind != "f":
        return torch.from_numpy(array.astype(numpy.int64))
    finite = numpy.isfinite(array).reshape(len(array), -1).all(axis=1)
    if not finite.all():
        row, bad = int(numpy.argmin(finite)), int((~finite).sum())
        raise _UnusableError(
            f"{name} has NaN or infinity in {bad:,} of {len(array):,} samples, the first is number {row:,} (from 0)"
        )
    return torch.from_numpy(array.astype(numpy.float32))


def _pair(tensors: Mapping[str, Tensor], first: str, second: str) -> Pair:
    inputs, targets = tensors[first], tensors[second]
    if len(inputs) != len(targets):
        raise _UnusableError(f"{first} has {len(inputs):,} samples and {second} has {len(targets):,}")
    if inputs.ndim == 1:
        inputs = inputs.unsqueeze(1)
    if not targets.is_floating_point() and targets.ndim == 2 and targets.shape[1] == 1 and inputs.shape[1] != 1:
        targets = targets.squeeze(1)  # a column of classes
    return inputs, targets


def _check_alike(train: Pair, held: Pair) -> None:
    for name, mine, other in zip(("x", "y"), train, held, strict=True):
        if mine.shape[1:] != other.shape[1:]:
            raise _UnusableError(
                f"samples of {name} have shape {tuple(mine.shape[1:])}, of {name}_val {tuple(other.shape[1:])}"
            )
        if mine.dtype != other.dtype:
            raise _UnusableError(f"{name} and {name}_val differ: one holds whole numbers, one real numbers")
