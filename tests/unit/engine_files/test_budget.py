"""The CPU's memory budget: exact accounting, no change of the numbers, an error that counts as out of memory."""

from __future__ import annotations

import copy
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from bsmon.core.cgroup import CgroupMemory
from bsmon.engine.budget import CpuMemoryMeter, memory_limit, shapes_of
from bsmon.engine.forecast import forecast_peak
from bsmon.engine.live_memory import LiveMemory, held_tensors
from bsmon.engine.out_of_memory import is_out_of_memory
from tests.unit.engine_files.memory_cases import FAMILIES, adam, mlp, step, vectors


def test_storages_are_counted_once_and_until_they_are_freed() -> None:
    live = LiveMemory()
    with live:
        first = torch.zeros(100)
        view = first[10:]
        second = first + 1
        assert live.current_bytes == 800
        del first
        assert live.current_bytes == 800  # the view holds it
        del view, second
    assert (live.current_bytes, live.peak_bytes) == (0, 800)


def test_sizes_are_rounded_up_to_the_granularity() -> None:
    with LiveMemory(granularity=512) as live:
        kept = torch.zeros(129)
        assert live.current_bytes == 1024
    assert kept.shape == (129,)


@pytest.mark.parametrize("family", FAMILIES)
def test_watching_changes_no_bit_of_the_training(family: str) -> None:
    torch.manual_seed(0)
    plain, batch = FAMILIES[family].model(), FAMILIES[family].batch(6)
    watched = copy.deepcopy(plain)
    meter = CpuMemoryMeter()
    states = []
    for model, key in ((plain, None), (watched, "watched")):
        optimizer = adam(model)
        torch.manual_seed(1)
        for _ in range(3):
            if key is None:
                step(model, optimizer, batch)
            else:
                with meter.watching(key, lambda m=model, o=optimizer: held_tensors(m, o, batch)):  # type: ignore[misc]  # defaults bind the loop's values
                    step(model, optimizer, batch)
        states.append(dict(model.state_dict()))
    torch.testing.assert_close(states[0], states[1], rtol=0, atol=0)


def budget_of(peak: int | None, share: float) -> int:
    assert peak is not None
    return int(peak * share)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_budget_just_above_the_forecast_holds_and_just_below_it_raises(family: str) -> None:
    model, batch = FAMILIES[family].model(), FAMILIES[family].batch(16)
    forecast = forecast_peak(model, adam, step, batch, 16).peak_bytes
    optimizer = adam(model)
    generous = CpuMemoryMeter(budget_of(forecast, 1.0025))
    tight = CpuMemoryMeter(budget_of(forecast, 0.9975))
    for _ in range(3):
        with generous.watching("size", lambda: held_tensors(model, optimizer, batch)):
            step(model, optimizer, batch)
    with (
        pytest.raises(torch.OutOfMemoryError, match="Memory budget") as raised,
        tight.watching("size", lambda: held_tensors(model, optimizer, batch)),
    ):
        step(model, optimizer, batch)
    assert is_out_of_memory(raised.value)
    assert generous.peak_bytes("size") == pytest.approx(forecast, rel=0.0025)
    assert tight.peak_bytes("size") is None


def test_a_step_that_raised_is_counted_again_and_a_smaller_one_goes_through() -> None:
    model = mlp()
    optimizer = adam(model)
    small_peak = forecast_peak(model, adam, step, vectors(4), 4).peak_bytes
    meter = CpuMemoryMeter(budget_of(small_peak, 1.1))

    def run(rows: int) -> None:
        batch = vectors(rows)
        with meter.watching(shapes_of(batch), lambda: held_tensors(model, optimizer, batch)):
            step(model, optimizer, batch)

    for _ in range(4):
        with pytest.raises(torch.OutOfMemoryError):
            run(4000)
    optimizer.zero_grad()
    run(4)
    assert meter.peak_bytes(shapes_of(vectors(4))) is not None


def test_counting_is_done_for_new_shapes_and_now_and_then() -> None:
    meter = CpuMemoryMeter()
    counted: list[int] = []
    for number in range(103):
        with meter.watching("shape", lambda now=number: counted.append(now) or []):  # type: ignore[misc, func-returns-value]  # records when it is called
            pass
    assert counted == [0, 1, 50, 100]


def test_shapes_tell_batches_apart() -> None:
    assert shapes_of({"x": torch.zeros(2, 3), "y": [torch.zeros(2), "name"]}) == ((2, 3), (2,))


def test_the_limit_is_what_is_free_and_held_up_to_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=5000))
    monkeypatch.setattr("bsmon.core.cgroup.memory_limit", lambda: None)
    cpu, held = torch.device("cpu"), torch.zeros(100)
    assert memory_limit(cpu, None) == 5000
    assert memory_limit(cpu, None, [held, held[5:]]) == 5400
    assert memory_limit(cpu, 1000) == 1000
    assert memory_limit(torch.device("meta"), None) is None


@pytest.mark.parametrize(("left", "limit"), [(700, 700), (9000, 5000)])
def test_a_containers_limit_is_the_limit(monkeypatch: pytest.MonkeyPatch, left: int, limit: int) -> None:
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=5000))
    monkeypatch.setattr("bsmon.core.cgroup.memory_limit", lambda: CgroupMemory(10_000, left))
    held = torch.zeros(100)
    assert memory_limit(torch.device("cpu"), None, [held]) == limit + held.nbytes


def test_tensors_of_other_devices_do_not_count() -> None:
    with LiveMemory("cpu") as live:
        elsewhere = nn.Linear(1000, 1000, device="meta")
    assert live.peak_bytes == 0
    assert elsewhere.weight.device.type == "meta"
