"""Arrays of a .npz file: what they are taken for, and every fault by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy
import pytest
import torch

from bsmon.config.schema import Config, MlpModel, NpzData
from bsmon.core.errors import BadInput
from bsmon.engine.tasks.data import build_data
from bsmon.engine.tasks.task import TaskData, TensorBatches

_RANDOM = numpy.random.default_rng(0)
X = _RANDOM.normal(size=(20, 3)).astype("float32")
Y = numpy.arange(20) % 4


def build(folder: Path, share: float = 0.2, **arrays: Any) -> TaskData:
    if arrays:
        numpy.savez(folder / "data.npz", **arrays)
    section = NpzData(path="data.npz", validation=share)
    return build_data(Config(data=section, model=MlpModel(), path=str(folder / "run.toml")))


@pytest.mark.parametrize(
    ("x", "y", "kind", "outputs", "shape"),
    [
        (X, Y, "classes", 4, (3,)),
        (X.astype("float64"), Y.astype("uint8"), "classes", 4, (3,)),
        (X, Y.reshape(20, 1), "classes", 4, (3,)),
        (X, Y > 1, "classes", 2, (3,)),
        (X, X[:, 0], "numbers", 1, (3,)),
        (X, X[:, :2], "numbers", 2, (3,)),
        (X[:, 0], X[:, 0], "numbers", 1, (1,)),
        (_RANDOM.normal(size=(20, 2, 5, 4)), Y, "classes", 4, (2, 5, 4)),
        (_RANDOM.integers(0, 9, (20, 6)).astype("int32"), numpy.full((20, 6), 11), "tokens", 12, (6,)),
        (_RANDOM.integers(0, 255, (20, 6)).astype("uint8"), Y, "classes", 4, (6,)),
    ],
)
def test_what_arrays_are_taken_for(
    tmp_path: Path, x: Any, y: Any, kind: str, outputs: int, shape: tuple[int, ...]
) -> None:
    data = build(tmp_path, x=x, y=y)
    assert (data.kind, data.outputs, data.input_shape) == (kind, outputs, shape)
    assert isinstance(data.train, TensorBatches)
    assert data.train.tensors[0].dtype == (torch.int64 if kind == "tokens" else torch.float32)
    assert (data.labels is not None) == (kind == "classes")
    assert len(data.train) == 16
    assert data.domain == ("images" if len(shape) == 3 else "text" if kind == "tokens" else "other")


def test_values_come_through_unchanged(tmp_path: Path) -> None:
    data = build(tmp_path, x=X, y=Y, x_val=X[:5], y_val=Y[:5])
    assert isinstance(data.train, TensorBatches)
    assert isinstance(data.validation, TensorBatches)
    assert torch.equal(data.train.tensors[0], torch.from_numpy(X))
    assert torch.equal(data.train.tensors[1], torch.from_numpy(Y))
    assert torch.equal(data.validation.tensors[0], torch.from_numpy(X[:5]))
    assert data.files == data.data_paths == (str(tmp_path / "data.npz"),)


def test_classes_of_the_validation_set_count_too(tmp_path: Path) -> None:
    assert build(tmp_path, x=X, y=Y, x_val=X[:2], y_val=numpy.array([0, 9])).outputs == 10


def with_nan() -> Any:
    broken = X.copy()
    broken[7, 1], broken[9, 0] = numpy.nan, numpy.inf
    return broken


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": X}, r'"data.npz" has no array "y"; it has x'),
        ({"inputs": X, "y": Y}, r'has no array "x"; it has y, inputs'),
        ({"X": X, "y": Y}, r'has no array "x", rename "X"\?; it has y, X'),
        ({"x": X, "y": Y, "x_val": X}, r'has no array "y_val"'),
        ({"x": X, "y": Y[:19]}, r"x has 20 samples and y has 19"),
        ({"x": X, "y": Y, "x_val": X, "y_val": Y[:3]}, r"x_val has 20 samples and y_val has 3"),
        ({"x": X, "y": Y, "x_val": X[:, :2], "y_val": Y}, r"samples of x have shape \(3,\), of x_val \(2,\)"),
        ({"x": X, "y": Y, "x_val": X, "y_val": X[:, 0]}, r"y and y_val differ: one holds whole numbers"),
        ({"x": with_nan(), "y": Y}, r"x has NaN or infinity in 2 of 20 samples, the first is number 7 \(from 0\)"),
        ({"x": X, "y": with_nan()}, r"y has NaN or infinity in 2 of 20"),
        ({"x": X[:0], "y": Y[:0]}, r"x is empty: its shape is \(0, 3\)"),
        ({"x": numpy.array(["a", "b"]), "y": Y[:2]}, r"x holds <U1, not numbers"),
        ({"x": X + 1j, "y": Y}, r"x holds complex64, not numbers"),
        ({"x": numpy.array([{}, {}]), "y": Y[:2]}, r"cannot be read as a NumPy .npz file: Object arrays"),
        ({"x": X, "y": Y - 1}, r"y has the whole number -1, but classes count from 0"),
        ({"x": X, "y": Y * 100}, r"y goes up to 300 with 20 samples: number the classes from 0"),
        ({"x": X, "y": Y.reshape(4, 5).repeat(5, 0)}, r"y is 20 x 5 whole numbers: classes need one number a sample"),
        ({"x": X[:1], "y": Y[:1]}, r"data.validation: a share of 0.2 of 1 samples leaves none to train on"),
    ],
)
def test_bad_arrays(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=message) as raised:
        build(tmp_path, **arrays)
    assert str(raised.value).startswith(f"{tmp_path / 'run.toml'}: data.")


def whole_file(tmp_path: Path) -> bytes:
    numpy.savez(tmp_path / "other.npz", x=X, y=Y)
    return (tmp_path / "other.npz").read_bytes()


@pytest.mark.parametrize("keep", [0, 10, 100, 300])
def test_truncated_file(tmp_path: Path, keep: int) -> None:
    (tmp_path / "data.npz").write_bytes(whole_file(tmp_path)[:keep])
    with pytest.raises(BadInput, match=r'data.path: "data.npz" cannot be read as a NumPy .npz file: '):
        build(tmp_path)


def test_a_file_of_something_else(tmp_path: Path) -> None:
    (tmp_path / "data.npz").write_text("x,y\n1,2\n")
    with pytest.raises(BadInput, match=r"cannot be read as a NumPy .npz file"):
        build(tmp_path)


def test_a_npy_file_has_no_names(tmp_path: Path) -> None:
    with (tmp_path / "data.npz").open("wb") as file:
        numpy.save(file, X)
    with pytest.raises(BadInput, match=r'has no array "x"; save it with numpy.savez\(file, x=inputs, y=targets\)'):
        build(tmp_path)


def test_missing_file_names_the_nearest(tmp_path: Path) -> None:
    whole_file(tmp_path)
    (tmp_path / "other.npz").rename(tmp_path / "date.npz")
    with pytest.raises(BadInput, match=r'there is no file "data.npz" in .*; did you mean "date.npz"\?'):
        build(tmp_path)
