"""A rank that only does what it is told: gradients of its share, a step of the weights, rank 0's state."""

from __future__ import annotations

import hashlib
import traceback
from collections.abc import Callable, Sequence
from functools import partial
from multiprocessing.connection import Connection
from typing import TypeAlias

import torch
from torch import Tensor

from bsmon.core.errors import BadInput
from bsmon.engine.assemble import make_feed, make_updater
from bsmon.engine.batches import Batch, split
from bsmon.engine.build import Parts, seed_everything
from bsmon.engine.feed import load_batch
from bsmon.engine.keeper import StepKeeper
from bsmon.engine.memory_setup import make_peaks, memory_budget
from bsmon.engine.out_of_memory import is_out_of_memory, release
from bsmon.engine.ranks import state
from bsmon.engine.ranks.group import Group
from bsmon.engine.ranks.orders import (
    Answer,
    MakeGradients,
    Order,
    Present,
    Proceed,
    Ready,
    Rehearse,
    StepWeights,
    Stop,
    TakeState,
    Trouble,
)
from bsmon.engine.ranks.sums import GradientSums
from bsmon.engine.recovery import halved
from bsmon.engine.watch import NoTimer, NoWatch

Socket: TypeAlias = "Connection[Answer, Order]"
Micro = tuple[Sequence[Batch], Sequence[int]]
"""Micro batches and their sizes."""


class Follower:
    """Obeys rank 0's orders until it says stop or is gone."""

    def __init__(self, parts: Parts, rank: int, socket: Socket) -> None:
        self._parts = parts
        self._rank = rank
        self._socket = socket
        self._updater = make_updater(parts, NoWatch(), NoTimer())
        self._keeper = StepKeeper(parts.model, parts.optimizer, parts.scaler)
        self._peaks = make_peaks(parts, memory_budget(parts))
        self._feed = make_feed(parts, rank)
        self._sums = GradientSums(list(parts.model.parameters()), parts.device, parts.config.run.world_size)
        self._group: Group | None = None
        self._share: tuple[object, Micro] | None = None  # of the update that is being made, with what it is known by
        self._is_open = False  # gradients were begun, and no step has followed
        self._then: Callable[[Present], None] | None = None  # once all ranks are ready
        self._failure: Trouble | None = None  # of what had no answer of its own

    @property
    def device(self) -> torch.device:
        """Where this rank trains."""
        return self._parts.device

    def serve(self, group: Group) -> None:
        """Obey. Raises EOFError when rank 0 is gone."""
        self._group = group
        try:
            while not isinstance(order := self._socket.recv(), Stop):
                self._obey(order)
        finally:
            self._feed.close()

    def _obey(self, order: Order) -> None:
        if isinstance(order, Proceed):
            then, self._then = self._then, None
            assert then is not None, "rank 0 has our answer before it says so"
            then(order.present)
            return
        self._then = None  # another order: not all ranks were ready
        match order:
            case MakeGradients():
                self._answer(partial(self._make_gradients, order))
            case Rehearse():
                self._answer(partial(self._rehearse, order), probing=True)
            case StepWeights():
                self._answer(partial(self._step_weights, order.learning_rate))
            case TakeState():
                self._answer(partial(self._make_room, order.outline))

    def _answer(self, work: Callable[[], Present], *, probing: bool = False) -> None:
        answer = attempt(work, probing=probing)
        # Not while the error is handled: its traceback keeps the tensors alive.
        if isinstance(answer, Trouble) and answer.kind == "memory":
            self._give_up_attempt()
            release()
        self._socket.send(answer)

    def _make_gradients(self, order: MakeGradients) -> Present:
        self._give_up_attempt()
        known_by = (order.step, tuple(order.place.values()), order.plan.batch_size)
        if self._share is None or self._share[0] != known_by:
            seed_everything(update_seed(self._parts.config.run.seed, order.step, self._rank))
            self._share = (known_by, self._load(order))
        micro_batches, sizes = self._share[1]
        while max(sizes, default=0) > order.largest:
            micro_batches, sizes = halved(micro_batches, sizes)
        self._share = (known_by, (micro_batches, sizes))
        return self._gradients(micro_batches, sizes, order.rows, measure=order.measure)

    def _load(self, order: MakeGradients) -> Micro:
        cursor = self._parts.cursor
        if order.place["epoch"] != cursor.epoch:
            cursor.restore(order.place)  # draws the epoch's order anew, which takes its time
        cursor.position = order.place["position"]
        return self._feed.take(cursor, order.plan), order.plan.micro_sizes(order.rows, self._rank)

    def _rehearse(self, order: Rehearse) -> Present:
        self._give_up_attempt()
        sizes = list(order.sizes)
        batch = load_batch(self._parts.data.train, torch.arange(sum(sizes)))
        rows = sum(sizes) * self._parts.config.run.world_size
        return self._gradients(split(batch, sizes), sizes, rows, measure=False)

    def _gradients(self, micro_batches: Sequence[Batch], sizes: Sequence[int], rows: int, *, measure: bool) -> Present:
        self._keeper.keep()
        self._is_open = True
        self._parts.optimizer.zero_grad(set_to_none=True)
        with self._peaks.watching("gradients", micro_batches):
            loss = self._updater.accumulate(micro_batches, sizes, rows)
        present = self._sums.put(loss)
        if measure:
            self._sums.put_square(self._rank)
        self._then = self._add_up
        return present

    def _add_up(self, present: Present) -> None:
        assert self._group is not None, "see serve"
        self._sums.add_up(self._group, present)
        answer = attempt(self._updater.finish_gradients)
        self._failure = answer if isinstance(answer, Trouble) else None

    def _step_weights(self, learning_rate: float) -> Present:
        if self._failure is not None:
            raise _as_error(self._failure)
        for group in self._parts.optimizer.param_groups:
            group["lr"] = learning_rate
        micro_batches, sizes = self._share[1] if self._share is not None else ((), ())
        with self._peaks.watching("weights", micro_batches):
            self._updater.weights()
        self._updater.settle(learning_rate)
        self._peaks.take_new(sizes)
        self._share, self._is_open = None, False
        return None

    def _give_up_attempt(self) -> None:
        """Put back what an attempt at an update has changed, if one was begun and no step followed."""
        self._failure = None
        if self._is_open:
            self._is_open = False
            self._keeper.restore_before_gradients()

    def _make_room(self, outline: object) -> Present:
        self._give_up_attempt()
        self._share = None
        tensors: list[Tensor] = []
        taken = state.fill(outline, self._parts.device, tensors)
        self._then = partial(self._take_state, taken, tensors)
        return None

    def _take_state(self, taken: object, tensors: list[Tensor], present: Present) -> None:
        del present
        assert self._group is not None, "see serve"
        assert isinstance(taken, dict), "see state.capture"
        state.copy_from_first(tensors, self._parts.device, self._group)
        self._answer(partial(state.put_in_place, self._parts, taken))


def attempt(work: Callable[[], Present], *, probing: bool = False) -> Answer:
    """What `work` returns, or how it failed. `probing`: see is_out_of_memory."""
    try:
        return Ready(work())
    except Exception as error:  # noqa: BLE001  rank 0 raises it in this rank's stead
        first = (str(error).splitlines() or [""])[0]
        if is_out_of_memory(error, probing=probing):
            return Trouble("memory", first, "")
        if isinstance(error, BadInput):
            return Trouble("input", str(error), "")
        kind = type(error).__name__
        return Trouble("error", f"{kind}: {first}" if first else kind, traceback.format_exc())


def _as_error(trouble: Trouble) -> Exception:
    return torch.OutOfMemoryError(trouble.text) if trouble.kind == "memory" else RuntimeError(trouble.text)


def update_seed(seed: int, step: int, rank: int) -> int:
    """What a rank's random numbers (dropout, augmentation) of one update begin with: made again, the same again."""
    return int.from_bytes(hashlib.blake2b(f"{seed} {step} {rank}".encode(), digest_size=4).digest())
