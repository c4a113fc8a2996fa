"""A table of layers and a followed weight, as the probes would make them."""

from __future__ import annotations

import math
from dataclasses import replace

from bsmon.core.gradients import Layer, LayerHealth, LayerTable, ProbedWeight, Spread
from bsmon.core.records import GpuSample
from bsmon.core.snapshot import MeasuredSize, MemoryForecast, Snapshot
from tests import fakes

SPREAD = Spread(0.72, 1.6e-3, 2.2e-3, -0.017, 0.019)

LAYERS = LayerTable(
    315,
    (
        Layer("head.weight", 640, 41.2, 1.63, 2.1, 0.034, LayerHealth.EXPLODING),
        Layer("conv1.bias", 64, 3.1e-9, 3.9e-10, 0.4, 1e-9, LayerHealth.VANISHING),
        Layer("aux.weight", 640, None, None, 1.3, None, LayerHealth.ABSENT),
        Layer("norm.weight", 64, math.nan, math.nan, 8.0, None, LayerHealth.NONFINITE),
        Layer("conv2.weight", 73_728, 0.61, 2.2e-3, 9.6, 1.2e-3, LayerHealth.NORMAL, SPREAD),
    ),
)

SIZES = (MeasuredSize(16, 0.003, 0.9, 13.0), MeasuredSize(32, 0.004, 0.41, 14.2))


def with_weight() -> Snapshot:
    """A followed weight that zig-zags to its place, and two sizes measured."""
    base = fakes.with_advice()
    path = [1.4 * math.exp(-step / 80) - 0.4 + 0.1 * math.sin(step * 1.3) for step in range(315)]
    weight = ProbedWeight(315, "fc1.weight[50,30]", path[-1], -0.021, -0.018, 0.11, -0.4, 0.31, 0.16, 200)
    return replace(base, probed_weight=weight, sizes=SIZES, series={**base.series, "probed_weight": fakes.series(path)})


TIME_SHARES = {
    "data_wait": 0.02,
    "host_to_device": 0.03,
    "forward": 0.31,
    "backward": 0.52,
    "optimizer": 0.11,
    "telemetry": 0.01,
}


def on_gpus(others: int = 3) -> Snapshot:
    """The run's GPU with all its numbers, and others: one busy with something else, one unreadable, one old."""
    base = fakes.on_gpu()
    assert base.hardware is not None
    mine = replace(
        base.hardware.gpus[0],
        own_process_bytes=int(26.6 * fakes.GIB),
        memory_reserved_bytes=int(0.6 * fakes.GIB),
        memory_clock_mhz=2619,
        throttle_reasons=("power cap",),
        pcie_rx_bytes_s=1_300_000_000,
        pcie_tx_bytes_s=210_000_000,
    )
    busy = replace(mine, index=1, uuid="GPU-2", is_mine=False, utilisation_percent=12.0, throttle_reasons=())
    lost = GpuSample(2, "GPU-3", "NVIDIA H100 80GB HBM3", reasons={"gpu": "GPU is lost"})
    old = replace(busy, index=3, uuid="GPU-4", stale_s=42.0)
    forecasts = tuple(
        MemoryForecast(size, int(peak * fakes.GIB), 70 * fakes.GIB, fits=peak < 70)
        for size, peak in ((32, 10.1), (64, 18.3), (128, 35.2), (256, 71.0))
    )
    return replace(
        base,
        hardware=replace(base.hardware, gpus=(busy, mine, lost, old)[: 1 + others]),
        progress=replace(base.progress, time_shares=TIME_SHARES),
        forecasts=forecasts,
        fences=(512,),
        measured_peak_bytes=int(18.3 * fakes.GIB),
    )
