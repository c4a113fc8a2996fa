"""A run that is ended and resumed is bit for bit the run that was not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from bsmon.config.schema import Batch, Config, Optimizer, Schedule
from bsmon.core.commands import Save, SetBatchSize, SetLearningRate, SetMicroBatchSize, Stop
from bsmon.core.records import EventKind, Level
from tests.unit.engine.harness import Due, Played, config_for, play, same
from tests.unit.engine.histories import FailingSpy

# A change on either side of the cut, which comes after 7 updates.
CHANGES: list[Due] = [
    (3, SetBatchSize(16)),
    (4, SetMicroBatchSize(5)),
    (5, SetLearningRate(0.02)),
    (9, SetBatchSize(4)),
    (12, SetBatchSize(24)),
]
BEFORE = [due for due in CHANGES if due[0] < 7]
AFTER = [due for due in CHANGES if due[0] > 7]

OPTIMIZERS: list[tuple[str, dict[str, object]]] = [
    ("SGD", {"momentum": 0.9}),
    ("AdamW", {}),
    ("AdamW", {"foreach": True}),
    ("RMSprop", {}),
]


def config(optimizer: str = "AdamW", arguments: dict[str, object] | None = None, **more: Any) -> Config:
    """BatchNorm, dropout, shuffling, a schedule with warm-up, clipping; every epoch but the first has a short end."""
    schedule = Schedule(name="cosine", warmup_epochs=0.5)
    train = {"grad_clip": 1.0, "eval_every": 4}
    return config_for(
        "table",
        "net",
        samples=40,
        batch=8,
        epochs=5,
        optimizer=optimizer,
        arguments=arguments,
        schedule=schedule,
        train=train,
        **more,
    )


def course(played: Played) -> list[tuple[object, ...]]:
    """Every update in numbers."""
    return [(s.step, s.epoch, s.samples, s.batch_size, s.learning_rate, s.loss) for s in played.recorder.steps_made]


def check(whole: Played, first: Played, second: Played) -> None:
    assert same(whole.state(), second.state())
    resumed_at = second.recorder.rewinds[0]
    early = [update for update in course(first) if int(str(update[0])) <= resumed_at]
    assert early + course(second) == course(whole)
    assert len(course(second)) > 3


@pytest.mark.parametrize(("optimizer", "arguments"), OPTIMIZERS)
def test_stopped_and_resumed(optimizer: str, arguments: dict[str, object], tmp_path: Path) -> None:
    setting = config(optimizer, arguments)
    whole = play(setting, tmp_path / "whole", CHANGES)
    first = play(setting, tmp_path / "cut", [*BEFORE, (7, Stop())])
    second = play(setting, tmp_path / "cut", AFTER, resume=True)
    check(whole, first, second)
    assert second.recorder.rewinds == [7]


def test_crashed_and_resumed_from_an_older_checkpoint(tmp_path: Path) -> None:
    setting = config()
    whole = play(setting, tmp_path / "whole", CHANGES)
    dying = FailingSpy(dies_at=11)
    first = play(setting, tmp_path / "cut", [*BEFORE, (7, Save()), (9, SetBatchSize(4))], spy=dying, fails=True)
    second = play(setting, tmp_path / "cut", AFTER, resume=True)
    check(whole, first, second)


def test_out_of_memory_before_the_cut_is_remembered_after_it(tmp_path: Path) -> None:
    setting = config()
    whole = play(setting, tmp_path / "whole", CHANGES, spy=FailingSpy([(2, 0)]))
    first = play(setting, tmp_path / "cut", [*BEFORE, (7, Stop())], spy=FailingSpy([(2, 0)]))
    second = play(setting, tmp_path / "cut", AFTER, resume=True)
    check(whole, first, second)


def test_a_damaged_checkpoint_is_left_for_the_one_before(tmp_path: Path) -> None:
    setting = config()
    whole = play(setting, tmp_path / "whole", CHANGES)
    folder = tmp_path / "cut"
    first = play(setting, folder, [*BEFORE, (7, Stop())])
    later = play(setting, folder, [(9, SetBatchSize(4)), (10, Stop())], resume=True)
    newest = max(folder.glob("*.pt"))
    data = bytearray(newest.read_bytes())
    data[len(data) // 2] ^= 1
    newest.write_bytes(data)
    second = play(setting, folder, AFTER, resume=True)
    check(whole, first, second)
    assert later.last_step == 10
    (warning,) = [e for e in second.recorder.events if e.kind is EventKind.CHECKPOINT and e.level is Level.WARNING]
    assert newest.name in warning.text
    assert "damaged" in warning.text


def test_what_changed_in_the_config_is_named_and_holds(tmp_path: Path) -> None:
    play(config(), tmp_path, [(7, Stop())])
    changed = structs.replace(
        config(), optimizer=Optimizer("AdamW", lr=0.5, arguments={"weight_decay": 0.25}), batch=Batch(size=20)
    )
    changes = {
        "optimizer.lr": ("0.01", "0.5"),
        "optimizer.weight_decay": ("0.01", "0.25"),
        "batch.size": ("8", "20"),
    }
    resumed = play(changed, tmp_path, resume=True, changes=changes)
    said = [event.text for event in resumed.recorder.events if "config has changed" in event.text]
    assert said == [f"the config has changed since: {key} was {then}, is {now}" for key, (then, now) in changes.items()]
    group = resumed.parts.optimizer.param_groups[0]
    assert group["weight_decay"] == 0.25
    first = resumed.recorder.steps_made[0]
    assert (first.step, first.batch_size) == (8, 20)
    assert first.learning_rate == pytest.approx(0.5 * resumed.parts.schedule.factor(first.samples - 20))


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (config_for("rows", "seen", samples=40, batch=8), "the checkpoint is of another model: "),
        (
            config_for("table", "net", samples=50, batch=8),
            "the checkpoint was made with 40 training samples, there are 50 now",
        ),
    ],
    ids=["model", "data"],
)
def test_a_checkpoint_of_something_else_is_refused(other: Config, words: str, tmp_path: Path) -> None:
    play(config(), tmp_path, [(7, Stop())])
    refused = play(other, tmp_path, resume=True, fails=True).recorder.failure
    assert refused is not None
    assert refused.bad_input
    assert words in refused.message
    assert "\n" not in refused.message


def test_there_is_nothing_to_resume(tmp_path: Path) -> None:
    refused = play(config(), tmp_path, resume=True, fails=True).recorder.failure
    assert refused is not None
    assert refused.bad_input
    assert "No usable checkpoint" in refused.message
