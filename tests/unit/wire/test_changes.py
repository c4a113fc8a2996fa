"""A snapshot sent as changes is the snapshot itself, whatever happened between two of them."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bsmon.core.snapshot import Snapshot
from bsmon.store.history import BinnedSeries
from bsmon.wire.changes import apply_changes, encode_changes
from bsmon.wire.frames import BadFrame
from tests import fakes

KINDS = ("grow", "jump", "rewind", "event", "many events", "drop series", "state", "nothing")


class Story:
    """Makes one snapshot after the other, with series that merge and go back as a real run's do."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._loss = BinnedSeries(capacity=16)
        self._step = 0
        self.now = fakes.training(3)

    def tell(self, kind: str) -> Snapshot:
        """Let something happen."""
        if kind in ("grow", "jump"):
            self._train(1 if kind == "grow" else 40)
        elif kind == "rewind":
            self._step //= 2
            self._loss.truncate(self._step + 1)
        elif kind in ("event", "many events"):
            for _ in range(1 if kind == "event" else 30):
                self._event()
        series = {} if kind == "drop series" else {**self.now.series, "loss": self._loss.freeze()}
        others: dict[str, Any] = self._others() if kind == "state" else {}
        self.now = dataclasses.replace(self.now, version=self.now.version + 1, series=series, **others)
        return self.now

    def _train(self, steps: int) -> None:
        for _ in range(steps):
            self._step += 1
            self._loss.append(self._step, self._random.choice([self._random.random(), None]))

    def _event(self) -> None:
        number = self.now.events[-1].number + 1
        self.now = dataclasses.replace(self.now, events=(*self.now.events, fakes.event(number, "something"))[-20:])

    def _others(self) -> dict[str, Any]:
        other = self._random.choice([fakes.on_gpu(), fakes.finished(), fakes.failed(), fakes.starting()])
        names = {field.name for field in dataclasses.fields(Snapshot)} - {"version", "series", "events"}
        return {name: getattr(other, name) for name in names}


@settings(max_examples=60)
@given(st.integers(0, 1000), st.lists(st.sampled_from(KINDS), min_size=1, max_size=12))
def test_the_viewer_has_what_the_run_has(seed: int, kinds: list[str]) -> None:
    story = Story(seed)
    sent = story.now
    shown = apply_changes(None, encode_changes(None, sent))
    assert shown == sent
    for kind in kinds:
        new = story.tell(kind)
        shown = apply_changes(shown, encode_changes(sent, new))
        assert shown == new
        sent = new


@pytest.mark.parametrize("make", [fakes.starting, fakes.training, fakes.with_advice, fakes.on_gpu, fakes.failed])
def test_every_kind_of_snapshot_arrives_whole(make: Callable[[], Snapshot]) -> None:
    snapshot = make()
    assert apply_changes(None, encode_changes(None, snapshot)) == snapshot


def test_a_step_costs_a_few_hundred_bytes_where_the_whole_has_many_thousand() -> None:
    before = fakes.training(900)
    loss = before.series["loss"]
    longer = dataclasses.replace(loss, low=(*loss.low, 0.1), high=(*loss.high, 0.2), mean=(*loss.mean, 0.15), last=0.15)
    after = dataclasses.replace(before, version=11, series={**before.series, "loss": longer})
    assert len(encode_changes(before, after)) < 300
    assert len(encode_changes(None, after)) > 50_000


def test_changes_without_what_they_build_on_are_refused() -> None:
    before = fakes.training(10)
    with pytest.raises(BadFrame):
        apply_changes(None, encode_changes(before, dataclasses.replace(before, version=11)))


def test_bins_that_do_not_follow_are_refused() -> None:
    long, short = fakes.training(50), fakes.training(5)
    grown = dataclasses.replace(fakes.training(51), version=11)
    with pytest.raises(BadFrame, match="does not follow"):
        apply_changes(short, encode_changes(long, grown))


@given(st.binary(max_size=300))
def test_random_bytes_are_no_state(data: bytes) -> None:
    with pytest.raises(BadFrame):
        apply_changes(None, msgspec.Raw(data))
