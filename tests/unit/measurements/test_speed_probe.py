"""Probes of other batch sizes change nothing, and give the advisor its three sizes."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from bsmon.advisor.goodput import fit_step_time
from bsmon.config.schema import Batch
from bsmon.core.records import ProbedSpeed, Step
from bsmon.core.snapshot import RunState
from bsmon.engine import speed_probe
from bsmon.session.throughput import StepTimes
from tests.unit.engine.harness import Played, play, same
from tests.unit.measurements.real_run import config_for


def played(folder: Path, *, probing: bool) -> Played:
    return play(config_for("noisy_net", optimizer="AdamW", batch=16, advisor="advise" if probing else "off"), folder)


@pytest.fixture
def _always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed_probe, "_FIRST_STEP", 1)
    monkeypatch.setattr(speed_probe, "_SHARE", float("inf"))


@pytest.mark.usefixtures("_always")
def test_training_is_the_same_bit_for_bit(tmp_path: Path) -> None:
    plain, probed = played(tmp_path / "plain", probing=False), played(tmp_path / "probed", probing=True)
    speeds = [record for record in probed.recorder.measurements if isinstance(record, ProbedSpeed)]
    assert {speed.batch_size for speed in speeds} == {4, 16, 64}
    assert len(speeds) > 30
    assert all(speed.seconds > 0 for speed in speeds)
    assert same(plain.state(), probed.state())
    losses = [[step.loss for step in run.recorder.steps_made] for run in (plain, probed)]
    assert losses[0] == losses[1]


@pytest.mark.usefixtures("_always")
def test_a_loss_scaler_takes_the_passes_without_steps(tmp_path: Path) -> None:
    runs = [play(config_for(batch=16, precision="fp16", advisor=mode), tmp_path / mode) for mode in ("off", "advise")]
    assert [run.recorder.states[-1] for run in runs] == [RunState.FINISHED] * 2
    assert same(runs[0].state(), runs[1].state())


@pytest.mark.usefixtures("_always")
def test_a_size_that_the_model_refuses_is_said_once_and_training_goes_on(tmp_path: Path) -> None:
    recorder = play(config_for("AtMostSixteenRows", batch=16, advisor="advise"), tmp_path).recorder
    assert recorder.states[-1] is RunState.FINISHED
    said = [event.text for event in recorder.events if "could not be timed" in event.text]
    assert said == ["a batch of 64 could not be timed for the advisor (ValueError: at most 16 rows); training goes on"]
    probed = {record.batch_size for record in recorder.measurements if isinstance(record, ProbedSpeed)}
    assert probed == {4, 16}


@pytest.mark.usefixtures("_always")
def test_the_persons_own_limits_hold_for_probes(tmp_path: Path) -> None:
    config = config_for(batch=16, advisor="advise")
    limited = replace(config, batch=Batch(size=16, min=8, max=32))
    probed = play(limited, tmp_path).recorder.measurements
    assert {record.batch_size for record in probed if isinstance(record, ProbedSpeed)} == {16}


def step(number: int, batch_size: int, seconds: float) -> Step:
    return Step(number, 1, number * batch_size, batch_size, batch_size, 0.1, 1.0, number * seconds, seconds, 0.0)


def test_a_probed_size_gets_the_optimizers_time_too() -> None:
    times = StepTimes()
    times.changed(32)
    times.add([step(number, 32, 0.012) for number in range(1, 30)])
    assert [point.batch_size for point in times.points()] == [32]
    for batch_size, seconds in ((32, 0.010), (8, 0.004), (128, 0.034)):
        times.probed(ProbedSpeed(30, batch_size, seconds))
    points = {point.batch_size: point.step_s for point in times.points()}
    assert points == pytest.approx({8: 0.006, 32: 0.012, 128: 0.036})
    assert fit_step_time(times.points()) is not None


def test_a_new_look_replaces_the_old_one() -> None:
    times = StepTimes()
    times.changed(32)
    times.add([step(number, 32, 0.012) for number in range(1, 30)])
    for at, batch_size in ((30, 32), (30, 8), (60, 32), (60, 128)):
        times.probed(ProbedSpeed(at, batch_size, 0.01))
    assert [point.batch_size for point in times.points()] == [32, 128]
