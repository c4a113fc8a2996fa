"""Several GPUs in one training, through NCCL. Run with `-m gpu` on a machine that has two."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from bsmon.core.commands import SetBatchSize
from bsmon.core.gradients import Measurement, NoiseSample
from bsmon.engine.build import Parts
from bsmon.telemetry.gradients import GradientProbes
from tests.unit.engine.harness import Due, play
from tests.unit.ranks.test_shared_update import config, on_device

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(torch.cuda.device_count() < 2, reason="fewer than two CUDA devices"),
]


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_two_gpus_train_as_one(precision: str, tmp_path: Path) -> None:
    """With clipping, accumulation and a batch change."""
    commands: list[Due] = [(3, SetBatchSize(16))]
    settings: dict[str, Any] = {"optimizer": "AdamW", "micro": 4, "train": {"grad_clip": 0.5}, "lr": 0.01}
    alone = play(on_device(config(world_size=1, **settings), precision), tmp_path / "one", commands)
    together = play(on_device(config(**settings), precision), tmp_path / "two", commands)
    tolerance = 1e-4 if precision == "fp32" else 3e-2
    for name, weight in alone.parts.model.state_dict().items():
        other = together.parts.model.state_dict()[name]
        torch.testing.assert_close(weight, other, rtol=tolerance, atol=tolerance)


def test_two_gpus_measure_the_noise_scale(tmp_path: Path) -> None:
    found: list[Measurement] = []

    def probes(parts: Parts, _: object) -> GradientProbes:
        return GradientProbes(parts.runner, parts.device, found.append, budget=1.0, scaler=parts.scaler, ranks=2)

    play(on_device(config(epochs=20), "fp32"), tmp_path, watch=probes)
    samples = [measurement for measurement in found if isinstance(measurement, NoiseSample)]
    assert {sample.estimator for sample in samples} == {"ranks"}
