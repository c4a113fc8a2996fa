"""What is known without torch agrees with what is built."""

from __future__ import annotations

from pathlib import Path

import numpy
import pytest

from bsmon.config.load import load, parse
from bsmon.core.errors import BadInput
from bsmon.engine.tasks.data import build_data
from bsmon.engine.tasks.sizes import data_size

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
MODEL = '\n[model]\nname = "mlp"\n'


@pytest.mark.parametrize("name", ["digits", "digits-mlp", "cats-vs-dogs", "long-tail", "text"])
@pytest.mark.parametrize("validation", [None, 0.0, 0.333])
def test_agrees_with_the_built_data(name: str, validation: float | None) -> None:
    overrides = [] if validation is None or name == "cats-vs-dogs" else [f"data.validation={validation}"]
    config = load(EXAMPLES / f"{name}.toml", overrides)
    size, data = data_size(config), build_data(config)
    assert size.samples == len(data.train)  # type: ignore[arg-type]  # built-in sets have a length
    assert size.domain == data.domain


@pytest.mark.parametrize("apart", [False, True])
def test_npz_with_and_without_its_own_validation(tmp_path: Path, apart: bool) -> None:
    x, y = numpy.zeros((21, 3), "f4"), numpy.zeros(21, int)
    if apart:
        numpy.savez(tmp_path / "data.npz", x=x, y=y, x_val=x[:4], y_val=y[:4])
    else:
        numpy.savez(tmp_path / "data.npz", x=x, y=y)
    config = parse('[data]\ntask = "npz"\npath = "data.npz"' + MODEL, tmp_path / "run.toml")
    assert data_size(config).samples == len(build_data(config).train)  # type: ignore[arg-type]  # as above
    assert data_size(config).samples == (21 if apart else 17)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no zip", "cannot be read as a NumPy .npz file"),
        (None, "has no array"),
    ],
)
def test_npz_that_cannot_be_measured(tmp_path: Path, content: bytes | None, message: str) -> None:
    file = tmp_path / "data.npz"
    if content is None:
        numpy.savez(file, z=numpy.zeros(3))
    else:
        file.write_bytes(content)
    config = parse('[data]\ntask = "npz"\npath = "data.npz"' + MODEL, tmp_path / "run.toml")
    with pytest.raises(BadInput, match=message):
        data_size(config)


def test_a_target_is_unknown_until_built() -> None:
    assert data_size(load(EXAMPLES / "own_code.toml")).samples is None
