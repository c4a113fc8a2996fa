"""Several ranks train as one does: same samples, same weights, and the same on every rank, bit for bit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import torch
from msgspec import structs

from bsmon.config.schema import Advisor, Config, TargetSection
from bsmon.core.commands import SetBatchSize, SetMicroBatchSize, Undo
from bsmon.core.errors import BadInput
from bsmon.core.records import EventKind, ProbedSpeed
from bsmon.core.snapshot import RunState
from bsmon.engine.build import build
from bsmon.engine.ranks.follower import Follower
from bsmon.engine.ranks.orders import Order, Rehearse
from bsmon.engine.ranks.start import other_ranks
from bsmon.telemetry.clock import CpuStepTimer
from tests.unit.engine.harness import Due, Played, config_for, play, same
from tests.unit.ranks.threads import Ranks, ranks_in_threads

TARGETS = "tests.unit.ranks.targets"
SAMPLES = 45


def config(
    model: str = "dense", given: Mapping[str, object] | None = None, *, world_size: int = 2, **more: Any
) -> Config:
    """45 samples: the last batch of an epoch is short, and odd. `given`: the model's arguments."""
    settings = {"batch": 10, "lr": 0.05, **more}
    made = config_for("table", samples=SAMPLES, run_settings={"world_size": world_size}, **settings)
    target = TargetSection(target=f"{TARGETS}:{model}", arguments=dict(given or {}))
    return structs.replace(made, model=target)


def on_device(made: Config, precision: str) -> Config:
    """The same on GPUs."""
    run = structs.replace(made.run, device="cuda", precision=precision)
    return structs.replace(made, run=run)


def both(
    folder: Path, model: str = "dense", commands: Sequence[Due] = (), *, world_size: int = 2, **more: Any
) -> tuple[Played, Played, Ranks]:
    """The same run by one rank and by several; the several end alike, bit for bit."""
    alone = play(config(model, world_size=1, **more), folder / "one", commands)
    with ranks_in_threads() as ranks:
        together = play(config(model, world_size=world_size, **more), folder / "several", commands)
    assert len(ranks.followers) == world_size - 1
    own = together.parts.model.state_dict()
    assert all(same(own, other) for other in ranks.weights())
    return alone, together, ranks


def assert_close_models(one: Played, other: Played) -> None:
    """Weights are equal but for the order of additions."""
    for name, weight in one.parts.model.state_dict().items():
        torch.testing.assert_close(weight, other.parts.model.state_dict()[name], rtol=1e-4, atol=1e-5)


def assert_close(alone: Played, together: Played) -> None:
    """So are losses, and the sizes of the updates are the same."""
    assert_close_models(alone, together)
    losses = [torch.tensor([step.loss for step in run.recorder.steps_made]) for run in (alone, together)]
    torch.testing.assert_close(*losses, rtol=1e-4, atol=1e-5)
    counts = [[step.batch_size for step in run.recorder.steps_made] for run in (alone, together)]
    assert counts[0] == counts[1]


@pytest.mark.parametrize(
    ("world_size", "settings"),
    [
        (2, {}),
        (3, {"batch": 7}),  # shares of 3, 2, 2; and of a last batch of 3
        (4, {"batch": 3}),  # a rank without samples
        (2, {"batch": 1}),
        (2, {"batch": 20, "micro": 3, "train": {"grad_clip": 0.05}}),
        (2, {"optimizer": "AdamW", "train": {"drop_last": True}}),
        (2, {"arguments": {"momentum": 0.9}, "train": {"shuffle": False}}),
        (2, {"model": "branches", "optimizer": "AdamW", "batch": 4}),
    ],
)
def test_ranks_train_as_one(world_size: int, settings: dict[str, Any], tmp_path: Path) -> None:
    alone, together, _ = both(tmp_path, world_size=world_size, **settings)
    assert_close(alone, together)


def test_a_weight_that_no_rank_has_a_gradient_for_is_left_alone(tmp_path: Path) -> None:
    # AdamW would else shrink it by its weight decay, which one process does not.
    alone, together, _ = both(tmp_path, "branches", optimizer="AdamW")
    never = [run.parts.model.state_dict()["never.weight"] for run in (alone, together)]
    assert same(*never)


def test_batch_size_changes_while_ranks_train(tmp_path: Path) -> None:
    commands: list[Due] = [
        (2, SetBatchSize(16)),
        (4, SetMicroBatchSize(3)),
        (6, SetBatchSize(5)),
        (9, Undo(weights=False)),
    ]
    alone, together, _ = both(tmp_path, commands=commands, epochs=4)
    assert_close(alone, together)
    last = together.recorder.batches[-1]
    assert (last.batch_size, last.micro_batch_size, last.gradient_accumulation_steps, last.world_size) == (16, 3, 3, 2)


def test_weights_that_go_back_go_back_on_every_rank(tmp_path: Path) -> None:
    commands: list[Due] = [(3, SetBatchSize(20)), (5, Undo(weights=True))]
    alone, together, _ = both(tmp_path, commands=commands, optimizer="AdamW", epochs=3)
    assert_close(alone, together)
    assert together.recorder.rewinds == [3]


def test_a_resumed_run_goes_on_as_if_it_had_never_stopped(tmp_path: Path) -> None:
    with ranks_in_threads() as ranks:
        whole = play(config(optimizer="AdamW", epochs=4), tmp_path / "whole")
        play(config(optimizer="AdamW", epochs=2), tmp_path / "parts")
        resumed = play(config(optimizer="AdamW", epochs=4), tmp_path / "parts", resume=True)
    states = [whole.parts.model.state_dict(), resumed.parts.model.state_dict(), ranks.weights()[-1]]
    assert same(states[0], states[1])
    assert same(states[1], states[2])


def test_several_ranks_go_on_from_a_run_of_one(tmp_path: Path) -> None:
    play(config(world_size=1, epochs=2), tmp_path)
    with ranks_in_threads() as ranks:
        resumed = play(config(epochs=3), tmp_path, resume=True)
    whole = play(config(world_size=1, epochs=3), tmp_path / "whole")
    assert same(resumed.parts.model.state_dict(), ranks.weights()[0])
    assert_close_models(whole, resumed)


def test_a_rank_that_runs_out_of_memory_costs_no_sample(tmp_path: Path) -> None:
    with ranks_in_threads() as ranks:
        tight = play(config("small_memory", {"rows": 2}), tmp_path / "tight")
        roomy = play(config("small_memory", {"rows": 99}), tmp_path / "roomy")
    assert_close_models(tight, roomy)
    assert same(tight.parts.model.state_dict(), ranks.weights()[0])
    told = [event for event in tight.recorder.events if event.kind is EventKind.MEMORY]
    assert [event.data["failed"] for event in told] == [5, 3]
    assert told[0].data["reason"] == "rank 1: no room for 5 rows"
    assert told[-1].text.startswith(
        "out of memory at micro batch 3: the same samples again at 2 x 3 on each of 2 ranks"
    )


def test_a_rank_without_memory_for_one_sample_ends_the_run(tmp_path: Path) -> None:
    with ranks_in_threads():
        ended = play(config("small_memory", {"rows": 0}), tmp_path, fails=True)
    assert ended.recorder.failure is not None
    assert "rank 1: no room for 1 rows" in ended.recorder.failure.message


def test_a_rank_that_ran_out_of_memory_in_its_step_gets_rank_0s_weights(tmp_path: Path) -> None:
    """Also where the step is not atomic: no weight is lost while rank 0 has it."""
    failures = iter([True])

    class Tight(Follower):
        def _step_weights(self, learning_rate: float) -> None:
            if self._parts.cursor.position > 20 and next(failures, False):
                next(self._parts.model.parameters()).data.zero_()  # half-way through
                raise torch.OutOfMemoryError("no room")
            super()._step_weights(learning_rate)

    with ranks_in_threads(Tight) as ranks:
        ended = play(config(optimizer="AdamW"), tmp_path / "tight")
    assert next(failures, None) is None, "it never failed"
    with ranks_in_threads():
        undisturbed = play(config(optimizer="AdamW"), tmp_path / "roomy")
    assert same(ended.parts.model.state_dict(), ranks.weights()[0])
    assert same(ended.parts.model.state_dict(), undisturbed.parts.model.state_dict())


def test_what_a_rank_raises_ends_the_run_and_is_told_with_its_traceback(tmp_path: Path) -> None:
    with ranks_in_threads():
        ended = play(config("broken", {"after": 3}), tmp_path, fails=True)
    failure = ended.recorder.failure
    assert failure is not None
    assert failure.message == "FollowerError: rank 1: ValueError: 5 rows were too many"
    assert "raise ValueError(" in failure.traceback
    assert ended.last_step == 2


def test_what_rank_0_raises_leaves_no_rank_waiting(tmp_path: Path) -> None:
    with ranks_in_threads() as ranks:
        ended = play(config("broken", {"after": 3, "whose": 0}), tmp_path, fails=True)
    assert ended.recorder.failure is not None
    assert ended.recorder.failure.message.startswith("ValueError: ")
    assert len(ranks.followers) == 1


def test_other_sizes_are_timed_with_all_ranks_and_change_nothing(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"epochs": 12, "batch": 8, "optimizer": "AdamW"}
    with ranks_in_threads() as ranks:
        probed = play(config(**settings), tmp_path / "on")
        quiet = play(config(advisor=Advisor(mode="off"), **settings), tmp_path / "off")
    sizes = [m.batch_size for m in probed.recorder.measurements if isinstance(m, ProbedSpeed)]
    assert sizes[:3] == [8, 2, 32]
    assert same(probed.parts.model.state_dict(), quiet.parts.model.state_dict())
    assert same(probed.parts.model.state_dict(), ranks.weights()[0])


def test_a_rank_that_is_lost_while_another_size_is_timed_ends_the_run(tmp_path: Path) -> None:
    class Mortal(Follower):
        def _obey(self, order: Order) -> None:
            if isinstance(order, Rehearse) and sum(order.sizes) == 1:
                raise EOFError  # which ends it
            super()._obey(order)

    with ranks_in_threads(Mortal):
        ended = play(config(epochs=12, batch=8), tmp_path, fails=True)
    assert ended.recorder.failure is not None
    assert ended.recorder.failure.message.startswith("rank 1 (process ")
    assert not [event for event in ended.recorder.events if "could not be timed" in event.text]


def test_synchronous_batchnorm_is_refused() -> None:
    parts = build(config("synchronous"), lambda _: None)
    with pytest.raises(BadInput, match=r"run\.world_size = 2: the model has SyncBatchNorm"), other_ranks(parts):
        pass


def test_the_run_says_how_many_ranks_it_has(tmp_path: Path) -> None:
    with ranks_in_threads():
        played = play(config(world_size=3), tmp_path)
    assert played.recorder.info is not None
    assert played.recorder.info.world_size == 3
    assert played.recorder.batches[0].world_size == 3
    assert played.recorder.states[-1] is RunState.FINISHED


def test_a_step_says_how_much_of_it_ranks_cost(tmp_path: Path) -> None:
    timer = CpuStepTimer()
    with ranks_in_threads(), patch("tests.unit.engine.harness.NoTimer", lambda: timer):
        play(config(), tmp_path)
    shares = timer.shares()
    assert shares is not None
    assert 0 < shares["exchange"] < 1
