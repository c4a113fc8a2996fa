"""A table of layers and a followed weight, as the probes would make them."""

from __future__ import annotations

import math
from dataclasses import replace

from bsmon.core.gradients import Layer, LayerHealth, LayerTable, ProbedWeight
from bsmon.core.snapshot import MeasuredSize, Snapshot
from tests import fakes

LAYERS = LayerTable(
    315,
    (
        Layer("head.weight", 640, 41.2, 1.63, 2.1, 0.034, LayerHealth.EXPLODING),
        Layer("conv1.bias", 64, 3.1e-9, 3.9e-10, 0.4, 1e-9, LayerHealth.VANISHING),
        Layer("aux.weight", 640, None, None, 1.3, None, LayerHealth.ABSENT),
        Layer("norm.weight", 64, math.nan, math.nan, 8.0, None, LayerHealth.NONFINITE),
        Layer("conv2.weight", 73_728, 0.61, 2.2e-3, 9.6, 1.2e-3, LayerHealth.NORMAL),
    ),
)

SIZES = (MeasuredSize(16, 0.003, 0.9, 13.0), MeasuredSize(32, 0.004, 0.41, 14.2))


def with_weight() -> Snapshot:
    """A followed weight that zig-zags to its place, and two sizes measured."""
    base = fakes.with_advice()
    path = [1.4 * math.exp(-step / 80) - 0.4 + 0.1 * math.sin(step * 1.3) for step in range(315)]
    weight = ProbedWeight(315, "fc1.weight[50,30]", path[-1], -0.021, -0.018, 0.11, -0.4, 0.31, 0.16, 200)
    return replace(base, probed_weight=weight, sizes=SIZES, series={**base.series, "probed_weight": fakes.series(path)})
