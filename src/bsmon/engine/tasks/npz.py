"""Task npz: arrays x and y (and x_val and y_val) of a NumPy .npz file."""

from __future__ import annotations

import torch
from torch import Tensor

from bsmon.config.schema import Config, NpzData
from bsmon.engine.tasks.arrays import kind_of_targets
from bsmon.engine.tasks.npz_file import Pair, read_pairs
from bsmon.engine.tasks.problems import input_file, problem
from bsmon.engine.tasks.split import hold_out
from bsmon.engine.tasks.task import Kind, TaskData, TensorBatches

_NOUNS: dict[Kind, str] = {"classes": "classes", "tokens": "different tokens", "numbers": "real numbers to predict"}


def build_npz(config: Config, section: NpzData) -> TaskData:
    """Inputs x (samples first, any shape) with targets y: whole numbers are classes or tokens, floats real numbers.

    Inputs become float32, except the whole numbers beside token targets. Raises BadInput, naming the array, for a
    file or arrays that cannot be trained on.
    """
    path = input_file(config.path, "data.path", section.path)
    train, held = read_pairs(path, lambda text: problem(config.path, "data.path", text))
    try:
        kind, outputs = kind_of_targets(*_joined(train, held))
    except ValueError as error:
        raise problem(config.path, "data.path", f'"{path.name}": {error}') from error
    if held is None:
        train, held = _hold_out(config, train, section.validation)
    if kind != "tokens":
        train, held = _as_floats(train), held and _as_floats(held)
    shape = tuple(train[0].shape[1:])
    return TaskData(
        name="npz",
        train=TensorBatches(*train),
        validation=None if held is None else TensorBatches(*held),
        kind=kind,
        input_shape=shape,
        outputs=outputs,
        labels=train[1] if kind == "classes" else None,
        domain=section.domain or ("images" if len(shape) == 3 else "text" if kind == "tokens" else "other"),
        description=f"{path.name}: {'x'.join(map(str, shape))} numbers a sample, {outputs:,} {_NOUNS[kind]}",
        files=(str(path),),
        data_paths=(str(path),),
    )


def _joined(train: Pair, held: Pair | None) -> Pair:
    return train if held is None else (torch.cat((train[0], held[0])), torch.cat((train[1], held[1])))


def _as_floats(pair: Pair) -> Pair:
    return pair[0].float(), pair[1]


def _hold_out(config: Config, pair: Pair, share: float) -> tuple[Pair, Pair | None]:
    generator = torch.Generator().manual_seed(config.run.seed)
    kept, out = hold_out(config, len(pair[0]), share, generator)
    return _rows(pair, kept), _rows(pair, out) if len(out) else None


def _rows(pair: Pair, indices: Tensor) -> Pair:
    return pair[0][indices], pair[1][indices]
