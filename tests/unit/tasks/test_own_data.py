"""Data sets of the person's own: what is taken, what is learned about them, what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from bsmon.config.schema import Config, DataTarget, MlpModel
from bsmon.core.errors import BadInput
from bsmon.engine.tasks import own
from bsmon.engine.tasks.data import build_data
from bsmon.engine.tasks.task import TaskData, TensorBatches

X = torch.randn(12, 5, generator=torch.Generator().manual_seed(0))
Y = torch.arange(12) % 3


class Words(Dataset[dict[str, str]]):
    """A map-style data set whose samples are no tensors."""

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> dict[str, str]:
        return {"word": "abcd"[index]}


class Stream(IterableDataset[int]):
    def __iter__(self) -> Iterator[int]:
        return iter([1, 2])


class Vision(Words):
    """As torchvision's data sets have their classes."""

    targets = (3, 1, 0, 2)

    def __init__(self, targets: list[Any]) -> None:
        self.targets = targets  # type: ignore[assignment]  # a list, as torchvision has it


def build(monkeypatch: pytest.MonkeyPatch, value: Any) -> TaskData:
    monkeypatch.setattr(own, "call_target", lambda config, section, name: (value, "/here/mine.py"))
    return build_data(Config(data=DataTarget(target="mine:data"), model=MlpModel(), path="run.toml"))


def test_where_the_data_lie_is_taken_from_the_arguments(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(own, "call_target", lambda config, section, name: (Words(), "/here/mine.py"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train").mkdir()
    arguments = {"root": str(tmp_path / "train"), "split": "train", "gone": "/not/there", "size": 3}
    target = DataTarget(target="mine:data", arguments=arguments)
    data = build_data(Config(data=target, model=MlpModel(), path="run.toml"))
    assert data.data_paths == (str(tmp_path / "train"),)


def test_a_pair_of_tensor_datasets(monkeypatch: pytest.MonkeyPatch) -> None:
    data = build(monkeypatch, (TensorDataset(X, Y), TensorDataset(X[:4], Y[:4])))
    assert isinstance(data.train, TensorBatches)
    assert isinstance(data.validation, TensorBatches)
    assert (data.kind, data.outputs, data.input_shape) == ("classes", 3, (5,))
    assert data.labels is not None
    assert torch.equal(data.labels, Y)
    assert data.files == ("/here/mine.py",)
    assert (data.name, data.domain) == ("mine:data", "other")


@pytest.mark.parametrize(
    ("train", "kind", "outputs"),
    [
        (TensorDataset(X, X[:, :2]), "numbers", 2),
        (TensorDataset(X, Y.int()), "classes", 3),
        (TensorDataset(X.long(), X.long().abs()), "tokens", None),
        (TensorDataset(X), "own", None),
        (TensorDataset(X, -Y), "own", None),
        (TensorDataset(X, Y.unsqueeze(1)), "own", None),
        (Words(), "own", None),
        (Vision([3, 1, 0, 2]), "classes", 4),
        (Vision(["a", "b", "c", "d"]), "own", None),
        (Vision([1, 2]), "own", None),
    ],
)
def test_what_is_learned_about_the_targets(
    monkeypatch: pytest.MonkeyPatch, train: Dataset[Any], kind: str, outputs: int | None
) -> None:
    data = build(monkeypatch, train)
    assert data.kind == kind
    if kind != "tokens":
        assert data.outputs == outputs
    assert (data.labels is not None) == (kind == "classes")


def test_a_dict_with_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    data = build(monkeypatch, {"train": Words(), "sample_weights": [1, 2, 0, 1]})
    assert data.validation is None
    assert data.sample_weights is not None
    assert data.sample_weights.tolist() == [1.0, 2.0, 0.0, 1.0]


def test_an_empty_validation_set_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert build(monkeypatch, (Words(), TensorDataset(X[:0], Y[:0]))).validation is None


WEIGHTS = "sample_weights"
REFUSED: list[tuple[Any, str]] = [
    (None, r'"mine:data" returned None; it must return a Dataset, a pair \(train, validation\), or a dict'),
    (3, r'"mine:data" returned an int; it must'),
    (Words, r'"mine:data" returned the class Words itself, not an instance'),
    ([TensorDataset(X, Y)], r'"mine:data" returned a list; it must'),
    (X, r'"mine:data" returned a Tensor; it must'),
    ((Words(), Words(), Words()), r'"mine:data" returned a tuple of 3; it must'),
    ((Words(), "abc"), r'"mine:data" returned a str; it must'),
    (Stream(), r"as train data an IterableDataset; bsmon needs samples by number"),
    ((Words(), Stream()), r"as validation data an IterableDataset"),
    (DataLoader(Words()), r"as train data a DataLoader; return its data set"),
    (TensorDataset(X[:0], Y[:0]), r"as train data an empty data set; there is nothing to train on"),
    ({"train": Words(), "val": Words()}, r'returned has a key "val"; .*validation'),
    ({"validation": Words()}, r'returned has no "train"'),
    (
        {"train": Words(), WEIGHTS: [1, 2]},
        r"sample_weights has shape \(2,\); give one number for each of 4 samples",
    ),
    ({"train": Words(), WEIGHTS: ["a"] * 4}, r"sample_weights must be numbers"),
    ({"train": Words(), WEIGHTS: [1, 1, 1, -1]}, r"sample_weights must be finite, not negative, and not all 0"),
    ({"train": Words(), WEIGHTS: [0, 0, 0, 0]}, r"sample_weights must be finite"),
    ({"train": Words(), WEIGHTS: [1, 1, 1, float("nan")]}, r"sample_weights must be finite"),
]


@pytest.mark.parametrize(("value", "message"), REFUSED)
def test_what_is_refused(monkeypatch: pytest.MonkeyPatch, value: Any, message: str) -> None:
    with pytest.raises(BadInput, match=message) as raised:
        build(monkeypatch, value)
    assert str(raised.value).startswith("run.toml: data.target: ")


def test_the_example_of_ones_own_code(tmp_path: Path) -> None:
    code = "import torch\nfrom torch.utils.data import TensorDataset\n"
    code += "def data(rows):\n    return TensorDataset(torch.ones(rows, 2), torch.zeros(rows))\n"
    (tmp_path / "own_example.py").write_text(code)
    section = DataTarget(target="own_example:data", arguments={"rows": 6}, domain="images")
    data = build_data(Config(data=section, model=MlpModel(), path=str(tmp_path / "run.toml")))
    assert (len(data.train), data.kind, data.domain) == (6, "numbers", "images")  # type: ignore[arg-type]  # has a length
