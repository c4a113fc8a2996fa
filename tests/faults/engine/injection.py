"""Raise torch.OutOfMemoryError at any one operator of an update, and tell what became of the run."""

from __future__ import annotations

import gc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from bsmon.config.schema import Config
from bsmon.core.commands import Save, SetMicroBatchSize
from bsmon.core.records import EventKind
from bsmon.engine.build import Parts
from bsmon.engine.watch import Watch
from tests.unit.engine.harness import Due, Played, Spy, config_for, play, same

BATCH = 8
SAVED_AT = 2
UPDATES = 8
STEPS = (1, 4)
"""The updates that are attacked: the one that builds the optimizer's state, and one like all others."""


class RaiseAt(TorchDispatchMode):
    """While `armed`, counts operators, and raises instead of the one with the number `at` (counted from 1)."""

    def __init__(self, at: int | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        self._at = at
        self.armed = False
        self.count = 0
        self.fired = ""

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if self.armed and not str(func).startswith("profiler"):
            self.count += 1
            if self.count == self._at:
                self.fired = str(func)
                raise torch.OutOfMemoryError("CUDA out of memory. (injected)")
        return func(*args, **(kwargs or {}))


class Attack(Spy):
    """Arms the mode for the first attempt at one update, from its zero_grad to the end of the optimizer's step."""

    def __init__(self, mode: RaiseAt, step: int) -> None:
        super().__init__()
        self._mode = mode
        self._step = step
        self._done = False
        self.in_gradients = 0  # operators before the optimizer's step

    def begin(self, step: int, micro_sizes: Sequence[int]) -> None:
        super().begin(step, micro_sizes)
        self._mode.armed = step == self._step and not self._done

    def before_optimizer(self, *_: object) -> None:
        if self._mode.armed:
            self.in_gradients = self._mode.count

    def abandoned(self) -> None:
        self._mode.armed, self._done = False, True

    def updated(self, learning_rate: float) -> None:
        super().updated(learning_rate)
        self._done = self._done or self._mode.armed
        self._mode.armed = False


class Ending(StrEnum):
    """What a run that ran out of memory came to."""

    EXACT = "exact"  # bit for bit the run that had the smaller micro batch from that update on
    RELOADED = "reloaded"  # bit for bit the run without the fault, from the last checkpoint on
    WRONG = "wrong"


@dataclass(frozen=True)
class Case:
    """One way to train: an optimizer in one implementation ("fused", "foreach", "loop")."""

    optimizer: str
    arguments: Mapping[str, object]
    implementation: str

    @property
    def name(self) -> str:
        given = "".join(f" {key} {value}" for key, value in self.arguments.items())
        return f"{self.optimizer}{given}, {self.implementation}"

    def config(self) -> Config:
        """BatchNorm, dropout, clipping, 8 updates of 8 samples."""
        chosen = {"fused": self.implementation == "fused", "foreach": self.implementation == "foreach"}
        return config_for(
            "table",
            "net",
            samples=32,
            batch=BATCH,
            epochs=2,
            lr=0.05,
            optimizer=self.optimizer,
            arguments=dict(self.arguments) | chosen,
            train={"grad_clip": 1.0},
        )


CASES = [
    Case(optimizer, arguments, implementation)
    for optimizer, arguments in (("SGD", {}), ("SGD", {"momentum": 0.9}), ("Adam", {}), ("AdamW", {}))
    for implementation in ("fused", "foreach", "loop")
]


@dataclass(frozen=True)
class Trial:
    """An operator that raised."""

    step: int
    number: int
    operator: str
    in_optimizer: bool
    ending: Ending


def sweep(case: Case, stride: int = 1) -> list[Trial]:
    """Attack operators of the chosen updates, one a run, and compare each run bit by bit with one without a fault.

    `stride`: every so many operators of the forward and backward passes, and likewise of the optimizer's step.
    """
    trials = []
    gc.collect()
    gc.freeze()  # recovering collects garbage; what torch made at import would take nearly all the time
    plain = _run(case, RaiseAt(), step=0)[0]
    for step in STEPS:
        mode = RaiseAt()
        _, attack = _run(case, mode, step)
        halved = _run(case, RaiseAt(), step=0, commands=[(step - 1, SetMicroBatchSize(BATCH // 2))])[0]
        before = range(1, attack.in_gradients + 1, stride)
        within = range(attack.in_gradients + 1, mode.count + 1, stride)
        trials += [_trial(case, step, number, in_optimizer=False, reference=halved) for number in before]
        trials += [_trial(case, step, number, in_optimizer=True, reference=plain) for number in within]
    return trials


def _trial(case: Case, step: int, number: int, *, in_optimizer: bool, reference: Played) -> Trial:
    mode = RaiseAt(number)
    played, _ = _run(case, mode, step)
    assert mode.fired, (case, step, number)
    if played.recorder.failure is not None or not _equal(played, reference):
        ending = Ending.WRONG
    else:
        reloaded = any("back to the checkpoint" in text for text in played.recorder.texts(EventKind.MEMORY))
        ending = Ending.RELOADED if reloaded else Ending.EXACT
    return Trial(step, number, mode.fired, in_optimizer, ending)


def _equal(one: Played, other: Played) -> bool:
    """Weights, buffers, optimizer's state, random numbers, losses of all updates: bit by bit; and no update missing."""
    losses = [[step.loss for step in played.recorder.steps_made] for played in (one, other)]
    return same(one.state(), other.state()) and losses[0] == losses[1] and len(losses[0]) == UPDATES


def _run(case: Case, mode: RaiseAt, step: int, commands: Sequence[Due] = ()) -> tuple[Played, Attack]:
    attack = Attack(mode, step)

    def watch(parts: Parts, spy: Spy) -> Watch:
        parts.optimizer.register_step_pre_hook(attack.before_optimizer)
        return spy

    with TemporaryDirectory() as folder, mode:
        played = play(case.config(), Path(folder), [*commands, (SAVED_AT, Save())], spy=attack, watch=watch, fails=None)
    return played, attack
