"""Probes of other batch sizes change nothing, and give the advisor its three sizes."""

from __future__ import annotations

from pathlib import Path

import pytest

from bsmon.advisor.goodput import fit_step_time
from bsmon.core.records import ProbedSpeed, Step
from bsmon.engine import speed_probe
from bsmon.session.throughput import StepTimes
from tests.unit.engine.harness import Played, play, same
from tests.unit.measurements.real_run import config_for


def played(folder: Path, *, probing: bool) -> Played:
    return play(config_for("noisy_net", optimizer="AdamW", batch=16, advisor="advise" if probing else "off"), folder)


def test_training_is_the_same_bit_for_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed_probe, "_FIRST_STEP", 1)
    monkeypatch.setattr(speed_probe, "_SHARE", float("inf"))
    plain, probed = played(tmp_path / "plain", probing=False), played(tmp_path / "probed", probing=True)
    speeds = [record for record in probed.recorder.measurements if isinstance(record, ProbedSpeed)]
    assert {speed.batch_size for speed in speeds} == {4, 16, 64}
    assert len(speeds) > 30
    assert all(speed.seconds > 0 for speed in speeds)
    assert same(plain.state(), probed.state())
    losses = [[step.loss for step in run.recorder.steps_made] for run in (plain, probed)]
    assert losses[0] == losses[1]


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
