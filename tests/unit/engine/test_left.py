"""How much of the planned run is left, by epochs and by steps."""

from __future__ import annotations

from pathlib import Path

import pytest

from bsmon.config.load import parse
from bsmon.engine.build import build

TOML = '[data]\ntask = "cats-vs-dogs"\nsamples = 120\n[model]\nname = "mlp"\n[batch]\nsize = 30\n'


@pytest.mark.parametrize(
    ("planned", "epoch", "position", "step", "left"),
    [
        ("run.epochs=4", 1, 0, 1, 1.0),
        ("run.epochs=4", 2, 60, 7, 1 - 1.5 / 4),
        ("run.epochs=4", 5, 0, 17, 0.0),
        ("run.max_steps=50", 1, 0, 1, 1.0),
        ("run.max_steps=50", 7, 30, 26, 0.5),
        ("run.max_steps=50", 14, 0, 60, 0.0),
    ],
)
def test_left(planned: str, epoch: int, position: int, step: int, left: float) -> None:
    parts = build(parse(TOML, Path("left.toml"), [planned, 'run.device="cpu"']), lambda _: None)
    samples = parts.cursor.epoch_samples
    position = position * samples // 120
    parts.cursor.restore({"epoch": epoch, "position": position, "consumed": (epoch - 1) * samples + position})
    assert parts.left(step) == pytest.approx(left)
