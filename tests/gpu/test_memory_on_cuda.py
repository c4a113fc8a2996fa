"""On a real GPU: the forecast with its margin covers the measured peak, and the budget is enforced."""

from __future__ import annotations

import gc

import pytest
import torch

from bsmon.engine.budget import enforce_on_cuda, memory_limit
from bsmon.engine.forecast import forecast_peak
from bsmon.engine.memory_model import CUDA_MARGIN
from bsmon.engine.out_of_memory import is_out_of_memory, release
from tests.unit.engine_files.memory_cases import FAMILIES, adam, step

pytestmark = pytest.mark.gpu
DEVICE = torch.device("cuda:0")


@pytest.mark.parametrize("family", FAMILIES)
def test_the_forecast_with_its_margin_covers_the_peak(family: str) -> None:
    rows = 4096
    # cuBLAS takes workspaces of 32 MiB on a Hopper GPU for each thread that computes, and keeps them: they are no part
    # of a step, and of models as small as these they would be most.
    throwaway = FAMILIES[family].model().to(DEVICE)
    step(throwaway, adam(throwaway), tuple(part.to(DEVICE) for part in FAMILIES[family].batch(8)))
    del throwaway
    gc.collect()
    before = torch.cuda.memory_allocated(DEVICE)
    model = FAMILIES[family].model().to(DEVICE)
    small = tuple(part.to(DEVICE) for part in FAMILIES[family].batch(8))
    forecast = forecast_peak(model, adam, step, small, rows)
    assert forecast.peak_bytes is not None, forecast.reason
    batch = tuple(part.to(DEVICE) for part in FAMILIES[family].batch(rows))
    optimizer = adam(model)
    step(model, optimizer, batch)
    torch.cuda.reset_peak_memory_stats(DEVICE)
    step(model, optimizer, batch)
    peak = torch.cuda.max_memory_allocated(DEVICE) - before
    assert peak <= forecast.peak_bytes * (1 + CUDA_MARGIN)
    assert peak >= forecast.peak_bytes * 0.5


def test_the_budget_is_enforced_and_the_run_goes_on() -> None:
    release()  # what is cached from before could serve the tensor below
    total = torch.cuda.get_device_properties(DEVICE).total_memory
    budget = torch.cuda.memory_reserved(DEVICE) + 64 * 2**20
    enforce_on_cuda(DEVICE, budget)
    try:
        assert memory_limit(DEVICE, budget) == budget
        with pytest.raises(RuntimeError) as raised:
            torch.empty(128 * 2**20, dtype=torch.uint8, device=DEVICE)
        assert is_out_of_memory(raised.value)
        del raised
        assert release()
        assert torch.ones(8, device=DEVICE).sum().item() == 8
    finally:
        enforce_on_cuda(DEVICE, total)
