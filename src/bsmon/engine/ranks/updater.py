"""An update made by several ranks: the same interface as `Updater`, so that a run hardly notices."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, fields, replace
from functools import partial

import torch
from torch import Tensor

from bsmon.engine.batches import Batch
from bsmon.engine.build import Parts
from bsmon.engine.ranks import state
from bsmon.engine.ranks.orders import (
    MakeGradients,
    Order,
    Present,
    Rehearse,
    StepWeights,
    TakeState,
)
from bsmon.engine.ranks.sums import GradientSums, union
from bsmon.engine.ranks.team import Team
from bsmon.engine.training import Training
from bsmon.engine.update import Updater
from bsmon.engine.watch import NoTimer, NoWatch

Measuring = AbstractContextManager[object] | None


class Standing:
    """How the other ranks stand to rank 0; one for all updaters of a run."""

    def __init__(self, team: Team, parts: Parts) -> None:
        self.team = team
        self._parts = parts
        self._has_stepped = False
        self._is_stale = True

    def state_changed(self) -> None:
        """Rank 0's state is another one now, and not by an update: the others need it."""
        self._is_stale = True

    def before_gradients(self) -> None:
        """A new attempt at an update begins: hear of the last one, and send the state where it is not rank 0's."""
        self._settle()
        if self._is_stale:
            self._send_state()
            self._is_stale = False

    def step_weights(self, learning_rate: float) -> None:
        """Let the others step, once an update: rank 0 may need several attempts. What came of it shows at the next."""
        if not self._has_stepped:
            self._has_stepped = True
            self.team.order(StepWeights(learning_rate))

    def _settle(self) -> None:
        """Hear what became of the last update on the other ranks; one that ran out of memory gets rank 0's weights."""
        if not self._has_stepped:
            return
        self._has_stepped = False
        try:
            self.team.answers()
        except torch.OutOfMemoryError:
            self._is_stale = True

    def _send_state(self) -> None:
        tensors: list[Tensor] = []
        self.team.order(TakeState(state.outline(state.capture(self._parts), tensors)))
        self.team.answers()
        self.team.together(partial(state.copy_from_first, tensors, self._parts.device))
        self.team.answers()


def ranked(updater: Updater, training: Training, team: Team) -> RankedUpdater:
    """The same updater over all ranks of this training."""
    parts = training.parts
    standing = Standing(team, parts)
    training.on_restored = standing.state_changed
    sums = GradientSums(list(parts.model.parameters()), parts.device, team.world_size)
    shared = {item.name: getattr(updater, item.name) for item in fields(updater)}
    return RankedUpdater(**shared, standing=standing, sums=sums, training=training)


@dataclass(slots=True)
class RankedUpdater(Updater):
    """Rank 0's share of every update, and the orders for the others' shares.

    Before anything is added up, every rank has said that its gradients are there: a rank that runs out of memory is an
    error here like rank 0's own, and leaves nobody waiting.
    """

    standing: Standing = field(kw_only=True)
    sums: GradientSums = field(kw_only=True)
    training: Training = field(kw_only=True)
    rehearses: bool = field(default=False, kw_only=True)

    def gradients(self, step: int, micro_batches: Sequence[Batch], sizes: Sequence[int]) -> Tensor:
        """See Updater: `micro_batches` are rank 0's, the loss is the mean over all ranks' samples.

        Raises RankLostError when a rank's process has ended, and whatever a rank raised.
        """
        self.timer.mark("exchange")
        self.standing.before_gradients()
        shares = self._shares(sizes)
        self.timer.mark("telemetry")
        self.watch.begin(step, shares)
        measuring = self.watch.measures_ranks()
        self.timer.mark("exchange")
        self.standing.team.order(self._order(step, sizes, measure=measuring is not None))
        present = self._own_share(micro_batches, sizes, sum(shares), measuring)
        presents = [answer.present for answer in self.standing.team.answers()]
        return self._add_up(union([present, *presents]), measures=measuring is not None)

    def weights(self) -> None:
        """See Updater. What came of it on the other ranks is heard before the next update."""
        self.standing.step_weights(float(self.optimizer.param_groups[0]["lr"]))
        Updater.weights(self)

    def unwatched(self) -> Updater:
        """See Updater: all ranks make the passes, of the data's first samples."""
        return replace(self, grad_clip=None, watch=NoWatch(), timer=NoTimer(), rehearses=True)

    def _shares(self, sizes: Sequence[int]) -> list[int]:
        """Samples of each rank in the update that is to be made."""
        if self.rehearses:
            return [sum(sizes)] * self.standing.team.world_size
        plan = self.training.plan
        return plan.shares(self.training.parts.cursor.next_size(plan.batch_size))

    def _order(self, step: int, sizes: Sequence[int], *, measure: bool) -> Order:
        if self.rehearses:
            return Rehearse(tuple(sizes))
        cursor, plan = self.training.parts.cursor, self.training.plan
        rows = cursor.next_size(plan.batch_size)
        return MakeGradients(step, cursor.state(), rows, plan, largest=max(sizes), measure=measure)

    def _own_share(
        self, micro_batches: Sequence[Batch], sizes: Sequence[int], rows: int, measuring: Measuring
    ) -> Present:
        """Rank 0's gradients, ready to be added to the others'; which weights they reached."""
        try:
            self.optimizer.zero_grad(set_to_none=True)
            loss = self.accumulate(micro_batches, sizes, rows)
            self.timer.mark("exchange")
            present = self.sums.put(loss)
            if measuring is not None:
                with measuring:
                    self.sums.put_square(0)
            return present
        except Exception:
            self.standing.team.drain()
            raise

    def _add_up(self, present: Present, *, measures: bool) -> Tensor:
        """The gradient of the whole update, on all ranks; its loss."""
        self.standing.team.together(partial(self.sums.add_up, present=present), present)
        if measures:
            self.watch.ranks_reduced(self.sums.squares)
        self.finish_gradients()
        return self.sums.loss()
