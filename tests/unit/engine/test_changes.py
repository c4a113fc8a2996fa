"""Taking batch changes back, with and without the weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from bsmon.core.commands import LearningRateRule, SetBatchSize, Undo
from bsmon.core.errors import NotApplicable
from bsmon.core.records import EventKind
from bsmon.engine import changes
from bsmon.engine.changes import ChangeLog
from bsmon.engine.controls import BatchChange, Bounds, Controls
from bsmon.engine.plan import BatchPlan
from tests.unit.engine.harness import config_for, linear, play, same


class Lab:
    """Controls and one weight."""

    def __init__(self) -> None:
        bounds = Bounds(1, None, 100_000)
        self.controls = Controls(BatchPlan(8, 8), 0.1, bounds, LearningRateRule.AUTO, linear)
        self.weight = torch.zeros(3)
        self.log = ChangeLog(self.controls, lambda: {"weight": self.weight, "controls": self.controls.state()})

    def set(self, size: int, step: int = 1) -> None:
        self.log.make(step, lambda: self.change(size))

    def change(self, size: int) -> BatchChange:
        return self.controls.set_batch_size(SetBatchSize(size), 1.0)


def test_changes_are_taken_back_newest_first() -> None:
    lab = Lab()
    for step, size in enumerate((16, 32, 64)):
        lab.set(size, step)
    assert [lab.log.take(weights=False).plan.batch_size for _ in range(3)] == [32, 16, 8]
    assert not lab.log.can_undo
    with pytest.raises(NotApplicable, match="There is no batch change to undo"):
        lab.log.take(weights=False)


def test_the_weights_of_the_newest_change_are_a_copy_from_before_it() -> None:
    lab = Lab()
    lab.set(16)
    lab.weight += 1
    before = lab.log.take(weights=True)
    assert before.state is not None
    assert before.state["weight"].tolist() == [0, 0, 0]
    assert before.state["controls"]["batch_size"] == 8
    assert before.base_learning_rate == 0.1


def test_only_the_newest_change_keeps_weights() -> None:
    lab = Lab()
    lab.set(16)
    lab.set(32)
    assert lab.log.keeps_weights
    lab.log.take(weights=True)
    assert not lab.log.keeps_weights
    with pytest.raises(NotApplicable, match="Undo without weights works"):
        lab.log.take(weights=True)
    assert lab.log.can_undo, "a refusal takes nothing"


def test_a_refused_change_is_not_remembered() -> None:
    lab = Lab()
    with pytest.raises(NotApplicable):
        lab.set(0)
    assert not lab.log.can_undo


def test_weights_too_large_for_the_free_memory_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "_SHARE_OF_FREE_MEMORY", 0.0)
    lab = Lab()
    lab.set(16)
    assert lab.log.can_undo
    assert not lab.log.keeps_weights


def test_a_long_run_does_not_remember_every_change() -> None:
    lab = Lab()
    for number in range(200):
        lab.set(9 + number % 2)
    taken = 0
    while lab.log.can_undo:
        lab.log.take(weights=False)
        taken += 1
    assert 50 <= taken <= 51


def test_undo_with_weights_makes_the_run_that_never_changed(tmp_path: Path) -> None:
    config = config_for("table", "net", samples=32, batch=8, epochs=3, optimizer="AdamW")
    plain = play(config, tmp_path / "plain")
    undone = play(config, tmp_path / "undone", [(4, SetBatchSize(16)), (6, Undo(weights=True))])
    assert undone.recorder.rewinds == [4]
    assert same(plain.state(), undone.state())
    assert [s.loss for s in plain.recorder.steps_made] == [s.loss for s in undone.recorder.steps_made]
    (text,) = [text for text in undone.recorder.texts(EventKind.BATCH) if "undone" in text]
    assert "weights, optimizer and samples are back at step 4" in text


def test_undo_without_weights_keeps_the_steps_that_were_made(tmp_path: Path) -> None:
    undone = play(config_for(epochs=3), tmp_path, [(4, SetBatchSize(8)), (6, Undo())])
    assert undone.recorder.rewinds == []
    sizes = [step.batch_size for step in undone.recorder.steps_made]
    # 3 epochs of 24 samples: steps 5 and 6 take the rest of the first one.
    assert sizes == [4] * 4 + [8] + [8] + [4] * 10
    assert undone.recorder.steps_made[-1].learning_rate == 0.01
