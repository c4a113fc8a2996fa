"""The table of layers: as many of a layer's numbers as there is room for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bsmon.ui.panels.layers import Layers
from bsmon.ui.rows import row_width
from bsmon.ui.view import View
from tests import fakes
from tests.layer_fakes import LAYERS


def table(width: int, longest: int = 0) -> list[str]:
    layers = (*LAYERS.layers[:-1], replace(LAYERS.layers[-1], name="conv2.weight" + "x" * longest))
    view = View(replace(fakes.training(), layers=replace(LAYERS, layers=layers)))
    rows = Layers({}, id="layers").rows(view, width, 20)
    assert max(map(row_width, rows)) <= width
    return ["".join(piece for piece, _ in row) for row in rows]


@pytest.mark.parametrize(
    ("width", "columns"),
    [
        (78, "norm rms |Δ|/|w|"),
        (118, "norm rms |Δ|/|w| |weight| SNR elements mean |g|"),
        (198, "norm rms |Δ|/|w| |weight| SNR elements mean |g| std min max"),
    ],
)
@pytest.mark.parametrize("longest", [0, 200])
def test_columns_by_the_room_there_is(width: int, columns: str, longest: int) -> None:
    labels = " ".join(table(width, longest)[1].split())
    shown = labels.removeprefix("parameter rms ").split()
    assert columns.split()[: len(shown)] == shown
    assert len(shown) >= len(columns.split()) - 4 * bool(longest)


def test_a_layers_numbers_stand_under_their_labels() -> None:
    rows = table(198)
    normal = next(row for row in rows if "conv2.weight" in row)
    expected = ["0.610", "2.20e-3", "1.20e-3", "9.60", "0.720", "73.7k", "1.60e-3", "2.20e-3", "-0.0170", "0.0190"]
    assert normal.split()[2:] == expected
    absent = next(row for row in rows if "aux.weight" in row)
    assert absent.split()[2:] == ["n/a", "n/a", "n/a", "1.30", "n/a", "640", "n/a", "n/a", "n/a", "n/a", "absent"]
