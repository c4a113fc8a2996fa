"""What a checkpoint may hold: plain values and tensors, so that loading one never runs code."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Iterator

import torch

_VALUES = (type(None), bool, int, float, str, bytes)
_DEEPEST = 64  # a list that holds itself would never end


def find_unplain(value: object, path: str = "state", depth: int = 0) -> str | None:
    """Say what in `value` cannot go into a checkpoint, and where; None when all of it can.

    Types are compared exactly: numpy.float64 is a float by inheritance, but is pickled as code to be run.
    """
    kind = type(value)
    if kind in _VALUES or kind is torch.Tensor:
        return None
    if depth == _DEEPEST:
        return f"{path} is nested deeper than {_DEEPEST} levels"
    if kind is dict or kind is OrderedDict or kind is list or kind is tuple:
        found = (find_unplain(item, where, depth + 1) for item, where in _items(value, path))
        return next((reason for reason in found if reason is not None), None)
    return f"{path} is a {kind.__module__}.{kind.__qualname__}; only plain values and tensors can be kept"


def _items(container: object, path: str) -> Iterator[tuple[object, str]]:
    """Yield every key and every item of a dict, list or tuple, with its place in words."""
    if isinstance(container, dict):
        for key, item in container.items():
            yield key, f"a key of {path}"
            yield item, f"{path}[{key!r:.60}]"
    elif isinstance(container, (list, tuple)):
        for index, item in enumerate(container):
            yield item, f"{path}[{index}]"


def snapshot_state(state: object) -> object:
    """Copy `state` so that training may go on while the copy is written: tensors become their own in CPU memory.

    Tensors that are one and the same memory (tied weights) stay one in the copy. A view of a larger tensor is copied
    without the rest. Values that a checkpoint refuses are passed on as they are: saving names them.
    """
    return _Snapshot().copy(state)


class _Snapshot:
    """One pass over a state, remembering the tensors already copied."""

    def __init__(self) -> None:
        self._copies: dict[tuple[object, ...], torch.Tensor] = {}

    def copy(self, value: object) -> object:
        if isinstance(value, torch.Tensor):
            return self._tensor(value.detach())
        if type(value) is dict or type(value) is OrderedDict:
            copied = copy.copy(value)  # keeps a state_dict's version notes, which are an attribute of it
            copied.update((key, self.copy(item)) for key, item in value.items())
            return copied
        if type(value) is list:
            return [self.copy(item) for item in value]
        if type(value) is tuple:
            return tuple(self.copy(item) for item in value)
        return value

    def _tensor(self, tensor: torch.Tensor) -> torch.Tensor:
        if tensor.numel() == 0:
            return tensor.to("cpu", copy=True)
        memory = (tensor.device, tensor.data_ptr(), tensor.dtype, tensor.shape, tensor.stride())
        if memory not in self._copies:
            self._copies[memory] = tensor.to("cpu", copy=True)
        return self._copies[memory]
