"""Random histories of a run, for the proof that no sample is lost or repeated."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from hypothesis import strategies as st

from bsmon.config.schema import Config
from bsmon.core.commands import (
    Command,
    Evaluate,
    Save,
    ScaleBatchSize,
    SetBatchSize,
    SetLearningRate,
    SetMicroBatchSize,
    Stop,
    Undo,
)
from bsmon.engine.order import EpochOrder
from tests.unit.engine.harness import Due, Played, Spy, Update, config_for, pause, play

_SEED = 3


class Crash(BaseException):
    """The machine dies."""


class FailingSpy(Spy):
    """Runs out of memory after chosen backward passes, (update, micro batch) each once, and dies at a chosen update."""

    def __init__(self, out_of_memory: Sequence[tuple[int, int]] = (), dies_at: int | None = None) -> None:
        super().__init__()
        self._out_of_memory = set(out_of_memory)
        self._dies_at = dies_at
        self._largest = 0
        self.failures = 0

    def begin(self, step: int, micro_sizes: Sequence[int]) -> None:
        super().begin(step, micro_sizes)
        self._largest = max(micro_sizes)
        if step == self._dies_at:
            raise Crash

    def backward_done(self, micro_batch: int) -> None:
        place = (self.attempt, micro_batch)
        if place in self._out_of_memory and self._largest > 1:
            self._out_of_memory.discard(place)
            self.failures += 1
            raise torch.OutOfMemoryError("CUDA out of memory. (injected)")


@dataclass(frozen=True)
class History:
    """What happens to a run. `stops_at` and `dies_at`: the update before which it is ended, and resumed afterwards."""

    samples: int
    batch: int
    data: str = "rows"
    epochs: int = 2
    drop_last: bool = False
    shuffle: bool = True
    workers: int = 0
    commands: Sequence[Due] = ()
    out_of_memory: Sequence[tuple[int, int]] = ()
    stops_at: int | None = None
    dies_at: int | None = None

    def config(self) -> Config:
        order = {"drop_last": self.drop_last, "shuffle": self.shuffle, "num_workers": self.workers}
        return config_for(
            self.data, samples=self.samples, batch=self.batch, epochs=self.epochs, lr=1e-3, train=order, seed=_SEED
        )

    def order(self) -> EpochOrder:
        weights = torch.arange(1, self.samples + 1).double() if self.data == "weighted" else None
        return EpochOrder(self.samples, seed=_SEED, shuffle=self.shuffle, weights=weights)


@dataclass
class Life:
    """A run with all its ends and resumes: every update that counts, and the largest batch size that was in force."""

    made: dict[int, Update] = field(default_factory=dict)
    largest: int = 0
    out_of_memory: int = 0

    def goes_on(self, played: Played, spy: FailingSpy) -> None:
        rewinds = played.recorder.rewinds
        kept = rewinds[0] if rewinds else 0
        self.made = {step: update for step, update in self.made.items() if step <= kept} | spy.made
        self.largest = max([self.largest, *(batch.batch_size for batch in played.recorder.batches)])
        self.out_of_memory += spy.failures


def live(history: History, folder: Path) -> Life:
    """Make the run: once through, or stopped, then crashed, and resumed after each."""
    life = Life()
    commands = sorted(history.commands, key=lambda due: due[0])
    if history.stops_at is not None:
        spy = FailingSpy(history.out_of_memory)
        life.goes_on(play(history.config(), folder, [*commands, (history.stops_at, Stop())], spy=spy), spy)
        commands = [due for due in commands if due[0] > spy.step]
    if history.dies_at is not None:
        spy = FailingSpy(history.out_of_memory, history.dies_at)
        crash = play(history.config(), folder, commands, spy=spy, resume=_has_checkpoint(folder), fails=None)
        life.goes_on(crash, spy)
        commands = [due for due in commands if due[0] > spy.step]
    spy = FailingSpy(history.out_of_memory)
    life.goes_on(play(history.config(), folder, commands, spy=spy, resume=_has_checkpoint(folder)), spy)
    return life


def check(history: History, life: Life) -> None:
    """Every epoch's samples, in order, are the very ones that the epoch's order has; each exactly once."""
    order = history.order()
    for epoch in range(1, history.epochs + 1):
        updates = [life.made[step] for step in sorted(life.made) if life.made[step].epoch == epoch]
        consumed = [sample for update in updates for sample in update.samples]
        expected = order.indices(epoch).tolist()
        assert consumed == expected[: len(consumed)], (epoch, consumed, expected)
        missing = len(expected) - len(consumed)
        assert missing < life.largest if history.drop_last else missing == 0, (epoch, consumed, expected)
    assert sorted(life.made) == list(range(1, len(life.made) + 1))


def _has_checkpoint(folder: Path) -> bool:
    return any(folder.glob("*.pt"))


def random_history(chance: random.Random, *, drop_last: bool = False) -> History:
    """A run with a change after every update, stopped and resumed once."""
    sizes = [SetBatchSize(chance.randrange(1, 9)) for _ in range(400)]
    commands: list[Due] = [
        (step, size if chance.random() < 0.9 else Undo(weights=chance.random() < 0.1))
        for step, size in enumerate(sizes)
    ]
    return History(
        chance.randrange(200, 400),
        4,
        chance.choice(["rows", "items", "weighted"]),
        epochs=3,
        drop_last=drop_last,
        commands=commands,
        out_of_memory=[(chance.randrange(1, 200), chance.randrange(2)) for _ in range(3)],
        stops_at=chance.randrange(100),
    )


@st.composite
def histories(draw: st.DrawFn, changes: int = 6) -> History:
    """Small runs with at most so many commands."""
    samples = draw(st.integers(3, 40))
    at = st.integers(0, 25)
    sizes = st.integers(0, samples + 2)
    command: st.SearchStrategy[Command] = st.one_of(
        sizes.map(SetBatchSize),
        sizes.map(SetBatchSize),
        st.sampled_from([0.5, 2.0]).map(ScaleBatchSize),
        st.integers(1, samples).map(SetMicroBatchSize),
        st.sampled_from([Undo(), Undo(weights=True), Save(), Evaluate(), SetLearningRate(1e-3)]),
    )
    commands = draw(st.lists(st.tuples(at, command), max_size=changes))
    pauses = draw(st.lists(at, max_size=1))
    return History(
        samples,
        draw(st.integers(1, samples)),
        draw(st.sampled_from(["rows", "items", "weighted"])),
        drop_last=draw(st.booleans()),
        shuffle=draw(st.booleans()),
        commands=[*commands, *(due for step in pauses for due in pause(step))],
        out_of_memory=draw(st.lists(st.tuples(st.integers(1, 20), st.integers(0, 2)), max_size=3)),
        stops_at=draw(st.none() | at),
        dies_at=draw(st.none() | at),
    )
