"""Data from a target: the person's own data sets."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sized
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from bsmon.config.nearest import did_you_mean
from bsmon.config.schema import Config, DataTarget
from bsmon.engine.tasks.arrays import kind_of_targets
from bsmon.engine.tasks.problems import problem
from bsmon.engine.tasks.targets import call_target, wrong_return
from bsmon.engine.tasks.task import Kind, TaskData, TensorBatches

_WANTED = "a Dataset, a pair (train, validation), or a dict of train, validation and sample_weights"
_KEYS = ("train", "validation", "sample_weights")


def build_own(config: Config, section: DataTarget) -> TaskData:
    """Call the target and take its data sets; what it raises itself passes through.

    A TensorDataset is read a whole batch at a time, and its last tensor says what the targets are. Raises BadInput
    when the target is not found or returns something else than map-style data sets.
    """
    value, file = call_target(config, section, "data")
    parts = _parts(config, section, value)
    train = _dataset(config, section, "train", parts["train"])
    held = parts.get("validation")
    validation = None if held is None else _dataset(config, section, "validation", held)
    kind, outputs, labels = _targets_of(train)
    weights = parts.get("sample_weights")
    return TaskData(
        name=section.target,
        train=train,
        validation=validation if validation is not None and _length(validation) else None,
        kind=kind,
        input_shape=tuple(train.tensors[0].shape[1:]) if isinstance(train, TensorBatches) else None,
        outputs=outputs,
        labels=labels,
        sample_weights=None if weights is None else _weights(config, weights, _length(train)),
        domain=section.domain or "other",
        description=section.target,
        files=(file,),
        data_paths=_paths_in(section.arguments),
    )


def _paths_in(arguments: Mapping[str, object]) -> tuple[str, ...]:
    """The arguments that are the path of something that is there: where the data are, as far as the config tells."""
    texts = (text for text in arguments.values() if isinstance(text, str) and os.sep in text)
    return tuple(text for text in texts if os.path.exists(text))  # noqa: PTH110 - Path raises where text is no path


def _parts(config: Config, section: DataTarget, value: Any) -> dict[str, Any]:
    """The returned value as a dict with train and, if given, validation and sample_weights."""
    if isinstance(value, Mapping):
        for key in value:
            if key not in _KEYS:
                hint = did_you_mean(str(key), _KEYS)
                raise problem(
                    config.path, "data.target", f'the dict that "{section.target}" returned has a key "{key}"; {hint}'
                )
        if "train" not in value:
            raise problem(config.path, "data.target", f'the dict that "{section.target}" returned has no "train"')
        return dict(value)
    if isinstance(value, tuple):
        if len(value) != 2:
            text = f'"{section.target}" returned a tuple of {len(value)}; it must return {_WANTED}'
            raise problem(config.path, "data.target", text)
        return {"train": value[0], "validation": value[1]}
    return {"train": value}


def _dataset(config: Config, section: DataTarget, part: str, value: Any) -> Dataset[Any]:
    """`value` if it is a map-style data set with a length, and not empty where it is to be trained on."""
    if isinstance(value, DataLoader):
        raise _unusable(config, section, part, "a DataLoader; return its data set, bsmon makes the batches")
    if isinstance(value, IterableDataset):
        raise _unusable(
            config, section, part, "an IterableDataset; bsmon needs samples by number (a map-style Dataset)"
        )
    if not _is_map_style(value):
        raise wrong_return(config, section, "data", value, _WANTED)
    if _length(value) == 0 and part == "train":
        raise _unusable(config, section, part, "an empty data set; there is nothing to train on")
    if type(value) is TensorDataset:
        return TensorBatches(*value.tensors)
    data: Dataset[Any] = value
    return data


def _unusable(config: Config, section: DataTarget, part: str, what: str) -> Exception:
    return problem(config.path, "data.target", f'"{section.target}" returned as {part} data {what}')


def _is_map_style(value: Any) -> bool:
    """Samples by number, and how many; a list is more likely a mistake for the pair."""
    plain = isinstance(value, (str, bytes, list, Tensor, type))
    return hasattr(value, "__getitem__") and isinstance(value, Sized) and not plain


def _length(dataset: Any) -> int:
    return len(dataset)


def _targets_of(train: Dataset[Any]) -> tuple[Kind, int | None, Tensor | None]:
    """Kind, outputs and class labels, where the data set's tensors (or torchvision's `targets`) tell them."""
    if isinstance(train, TensorBatches) and len(train.tensors) == 2:
        inputs, targets = train.tensors
    else:
        found = getattr(train, "targets", None)
        if not isinstance(found, (Tensor, list)) or len(found) != _length(train):
            return "own", None, None
        try:
            inputs = targets = torch.as_tensor(found)
        except (TypeError, ValueError):  # a list of something else than numbers
            return "own", None, None
    try:
        kind, outputs = kind_of_targets(inputs, targets)
    except ValueError:  # unusual targets are for the person's own model and loss to understand
        return "own", None, None
    return kind, outputs, targets.long() if kind == "classes" else None


def _weights(config: Config, value: Any, samples: int) -> Tensor:
    try:
        weights = torch.as_tensor(value, dtype=torch.float64)
    except (TypeError, ValueError, RuntimeError) as error:
        raise problem(config.path, "data.target", f"sample_weights must be numbers: {error}") from error
    if weights.shape != (samples,):
        text = f"sample_weights has shape {tuple(weights.shape)}; give one number for each of {samples:,} samples"
        raise problem(config.path, "data.target", text)
    if not bool(torch.isfinite(weights).all()) or bool((weights < 0).any()) or float(weights.sum()) <= 0:
        raise problem(config.path, "data.target", "sample_weights must be finite, not negative, and not all 0")
    return weights
