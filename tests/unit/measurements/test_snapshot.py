"""A whole run in a live session, as `bsmon train` makes it: what was measured is in the snapshot and the events."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import pytest

from bsmon.config.schema import Config
from bsmon.core.advice import Reading
from bsmon.core.records import Event, EventKind, HardwareSample
from bsmon.core.snapshot import RunState, Snapshot
from bsmon.session.live import LiveSession
from bsmon.session.training import Training
from tests.unit.measurements.real_run import config_for, measure_always


class NoSampler:
    """Reads no hardware."""

    def __init__(self, on_sample: Callable[[HardwareSample], None]) -> None:
        pass

    def start(self) -> None:
        pass

    def set_device(self, uuid: str | None, torch_device: str, others: Sequence[tuple[str | None, str]] = ()) -> None:
        pass

    def set_data_paths(self, paths: Sequence[str]) -> None:
        pass

    def stop(self) -> None:
        pass


def end_of(config: Config) -> Snapshot:
    """Train to the end; the last snapshot."""
    with TemporaryDirectory() as folder, patch("bsmon.engine.forecast.FAKE_TENSORS", False):
        session = LiveSession(config, Training(Path(folder)), NoSampler)
        session.start()
        assert session.ended.wait(100)
        return session.snapshot()


@cache
def whole_run() -> Snapshot:
    """1,200 updates in micro batches, measured whenever the rate allows."""
    followed = {"probe_weight": "wide.weight[4,2]"}
    return end_of(config_for(micro=8, epochs=400, grad_clip=0.5, advisor="advise", telemetry=followed))


def test_all_statistics_are_there() -> None:
    gradients = whole_run().gradients
    assert whole_run().state is RunState.FINISHED
    assert gradients is not None
    missing = [name for name in type(gradients).__slots__ if name != "cosine" and getattr(gradients, name) is None]
    assert missing == []
    assert gradients.norm_after_clipping is not None
    assert gradients.norm_after_clipping <= 0.5


def test_the_noise_scale_comes_from_the_micro_batches() -> None:
    noise = whole_run().advisor.noise_scale
    assert noise.estimator == "micro-batches"
    assert noise.probes >= 16
    assert noise.low is not None
    assert noise.value is None or (noise.high is not None and noise.low <= noise.value <= noise.high)


def test_the_weight_that_is_followed_is_there_with_its_course() -> None:
    snapshot = whole_run()
    assert snapshot.probed_weight is not None
    assert snapshot.probed_weight.name == "wide.weight[4,2]"
    assert snapshot.series["probed_weight"].last == snapshot.probed_weight.value


@pytest.mark.parametrize("name", ["loss", "loss_smoothed", "grad_norm", "weight_norm", "update_ratio"])
def test_the_course_of_each_is_kept(name: str) -> None:
    series = whole_run().series[name]
    assert series.last is not None
    assert series.last > 0


def test_the_classes_of_a_batch_stand_beside_what_the_sampler_would_give() -> None:
    """Three classes, 32 samples: every batch has all three."""
    readings = {reading.label: reading for node in whole_run().advisor.tree for reading in node.readings}
    counted, expected = readings["counted distinct classes"], readings["expected distinct classes"]
    assert counted == Reading("counted distinct classes", 3.0)
    assert expected.value == pytest.approx(3.0, abs=0.05)


def test_measured_variance_stands_beside_the_predicted() -> None:
    """Only whole updates of 32 count, not the short ones of 6 at the end of every epoch."""
    assert [size.batch_size for size in whole_run().sizes if size.sample_variance is not None] == [32]


def health_events(snapshot: Snapshot) -> list[Event]:
    return [event for event in snapshot.events if event.kind is EventKind.HEALTH]


def test_nan_in_a_gradient_is_told_once_with_its_count(monkeypatch: pytest.MonkeyPatch) -> None:
    measure_always(monkeypatch)
    snapshot = end_of(config_for("Breaks", epochs=40, telemetry={"noise_scale": False}))
    told = [event for event in health_events(snapshot) if "elements" in event.text]
    assert len(told) == 1
    assert told[0].data["nonfinite"]
    assert told[0].data["updates"] == 116  # all from the fifth on: the weights are NaN by then


def test_a_steady_run_is_silent() -> None:
    assert [event.text for event in health_events(whole_run())] == []
