"""The engine on a GPU, real or stand-in: the same training as on the CPU, and nothing read before it is there."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from msgspec import structs

from bsmon.config.schema import Config, TargetSection
from bsmon.engine.batches import to_device
from bsmon.engine.budget import enforce_on_cuda, memory_limit
from bsmon.engine.peaks import CudaPeaks
from bsmon.telemetry.cost import CostMeter
from bsmon.telemetry.noise_probe import MEMORY, has_room
from tests.fake_cuda import BLOCK, fake_cuda
from tests.unit.engine.harness import HERE, Played, config_for, play

MIB = 1 << 20


def config(device: str, optimizer: str = "AdamW", epochs: int = 2) -> Config:
    """Accumulated micro batches; no dropout, whose numbers a GPU draws otherwise than a CPU."""
    settings = {"device": device}
    made = config_for("table", samples=40, batch=8, micro=4, optimizer=optimizer, epochs=epochs, run_settings=settings)
    return structs.replace(made, model=TargetSection(target=f"{HERE}:net", arguments={"dropout": 0.0}))


def losses(played: Played) -> list[float | None]:
    return [step.loss for step in played.recorder.steps_made]


@pytest.mark.parametrize("optimizer", ["AdamW", "RMSprop"])
def test_a_training_is_that_on_the_cpu(
    gpu: torch.device, optimizer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bsmon.engine.report._READ_EVERY_S", 0.0)  # every loss is read while others are on their way
    plain = play(config("cpu", optimizer), tmp_path / "cpu")
    on_gpu = play(config(str(gpu), optimizer), tmp_path / "gpu")
    assert losses(on_gpu) == pytest.approx(losses(plain), rel=1e-3)
    assert on_gpu.parts.device == gpu
    assert {weight.device for weight in on_gpu.parts.model.parameters()} == {gpu}


def test_a_resumed_training_is_the_uninterrupted_one(gpu: torch.device, tmp_path: Path) -> None:
    whole = play(config(str(gpu), epochs=2), tmp_path / "whole")
    play(config(str(gpu), epochs=1), tmp_path / "parts")
    rest = play(config(str(gpu), epochs=2), tmp_path / "parts", resume=True)
    assert losses(rest) == pytest.approx(losses(whole)[5:], rel=1e-4)


def test_running_out_of_memory_ends_in_smaller_micro_batches(tmp_path: Path) -> None:
    plain = play(config_for("rows", samples=512, batch=256, run_settings={"device": "cpu"}), tmp_path / "cpu")
    with fake_cuda(total=14 * BLOCK):
        tight = play(config_for("rows", samples=512, batch=256, run_settings={"device": "cuda"}), tmp_path / "gpu")
    assert tight.recorder.fences
    assert tight.recorder.batches[-1].batch_size == 256
    assert tight.recorder.batches[-1].micro_batch_size < 256
    assert losses(tight) == pytest.approx(losses(plain), rel=1e-5)


def test_data_that_lie_on_the_gpu_stay_there(gpu: torch.device) -> None:
    batch = {"here": torch.ones(3), "there": torch.ones(3, device=gpu), "ids": ["a", "b", "c"]}
    moved = to_device(batch, gpu)
    assert moved["here"].device == moved["there"].device == gpu
    assert moved["ids"] == ["a", "b", "c"]
    assert moved["here"].sum().item() == 3.0


def test_a_peak_is_that_of_the_updates_and_of_nothing_between_them(gpu: torch.device) -> None:
    torch.cuda.set_device(gpu)
    peaks, found = CudaPeaks(gpu), list[int | None]()
    before = torch.cuda.memory_allocated(gpu)
    for _ in range(4):
        torch.empty(64 * MIB, dtype=torch.uint8, device=gpu)  # an evaluation, say
        with peaks.watching("gradients", ()):
            torch.empty(8 * MIB, dtype=torch.uint8, device=gpu)
        with peaks.watching("weights", ()):
            torch.empty(2 * MIB, dtype=torch.uint8, device=gpu)
        found.append(peaks.take_new((4, 4)))
    assert found == [None, None, before + 8 * MIB, None]


def test_a_plan_that_was_left_at_once_is_measured_when_it_comes_back(gpu: torch.device) -> None:
    torch.cuda.set_device(gpu)
    peaks, found = CudaPeaks(gpu), list[int | None]()
    before = torch.cuda.memory_allocated(gpu)
    for sizes, mebibytes in (((8,), 8), ((4,), 4), ((4,), 4), ((4,), 4), ((8,), 8), ((8,), 8)):
        with peaks.watching("gradients", ()):
            torch.empty(mebibytes * MIB, dtype=torch.uint8, device=gpu)
        found.append(peaks.take_new(sizes))
    assert found == [None, None, None, before + 4 * MIB, None, before + 8 * MIB]


def test_the_limit_is_what_is_free_and_what_training_holds_up_to_the_budget() -> None:
    with fake_cuda(total=1000 * BLOCK):
        device = torch.device("cuda:0")
        held = torch.empty(400 * BLOCK, dtype=torch.uint8, device=device)
        assert memory_limit(device, None) == 1000 * BLOCK
        assert memory_limit(device, 500 * BLOCK) == 500 * BLOCK
        enforce_on_cuda(device, 500 * BLOCK)
        with pytest.raises(torch.OutOfMemoryError):
            torch.empty(200 * BLOCK, dtype=torch.uint8, device=device)
        enforce_on_cuda(device, 10**9)  # more than there is
        assert torch.empty(600 * BLOCK, dtype=torch.uint8, device=device).numel() > held.numel()


@pytest.mark.parametrize(("budget", "room"), [(1000, True), (10 + 10 * MEMORY, True), (9 + 10 * MEMORY, False)])
def test_an_extra_backward_stays_within_the_budget_too(budget: float, room: bool) -> None:
    with fake_cuda(total=1000 * BLOCK):
        device = torch.device("cuda:0")
        held = torch.empty(10 * BLOCK, dtype=torch.uint8, device=device)
        enforce_on_cuda(device, int(budget * BLOCK))
        assert has_room(device) is room
        assert held.device == device


def test_what_a_probe_costs_on_the_gpu_is_counted_once_it_is_done() -> None:
    with fake_cuda(count=2) as cuda:
        device = torch.device("cuda:1")
        torch.cuda.set_device(device)
        meter = CostMeter(device)
        with meter:
            cuda.current_stream().put(lambda: cuda.work(500.0))
        assert meter.take() < 0.5
        assert meter.is_waiting
        assert meter.take() == pytest.approx(0.5, rel=0.1)
        assert not meter.is_waiting
        assert cuda.waits == 0
