"""The other ranks of a run, as rank 0 deals with them: orders to all, answers from all."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from bsmon.config.schema import Config
from bsmon.core.errors import BadInput
from bsmon.engine.mishaps import RankLostError
from bsmon.engine.ranks.child import Member, MemberGone, WhileWaiting
from bsmon.engine.ranks.group import Group
from bsmon.engine.ranks.likeness import Likeness
from bsmon.engine.ranks.orders import Begin, Order, Present, Proceed, Ready, Stop, Trouble

_END_S = 5.0
_END_BROKEN_S = 0.5  # the others may be in the middle of a sum that never ends
_NOTICE_S = 2.0


class FollowerError(RuntimeError):
    """Another rank's error; the message begins with the rank, the traceback is a note."""


class Team:
    """Ranks 1 to world_size - 1. Everything here is called by the training thread."""

    def __init__(self, members: Sequence[Member], device: torch.device) -> None:
        self._members = tuple(members)
        self._device = device
        self._group: Group | None = None
        self._folder = Path(tempfile.mkdtemp(prefix="bsmon-ranks-"))
        self._loss: RankLostError | None = None
        self.while_waiting: WhileWaiting | None = None

    @property
    def world_size(self) -> int:
        """Ranks, this one included."""
        return 1 + len(self._members)

    def begin(self, config: Config, own: Likeness) -> None:
        """Let them build the training, each by itself; `meet` waits for it. `own`: what rank 0 has built."""
        for member in self._members:
            member.send(Begin(config, member.rank, self._store, own))

    def meet(self) -> None:
        """Wait until every rank is up. Raises RankLostError, or what hindered one of them."""
        self.answers()
        self.order(Proceed())
        self._group = Group(self._device, self._store, 0, self.world_size, self._look)

    @property
    def _store(self) -> str:
        return str(self._folder / "store")

    def order(self, order: Order) -> None:
        """Tell every rank. Raises RankLostError, once one is lost ever after.

        A rank that was silent may answer late, and its answer would be taken for one to this order.
        """
        if self._loss is not None:
            raise self._loss
        for member in self._members:
            try:
                member.send(order)
            except MemberGone as gone:
                raise self._lost(gone) from gone

    def answers(self) -> list[Ready]:
        """Wait for every rank's answer.

        Raises RankLostError; for an answer that is none: torch.OutOfMemoryError, BadInput or FollowerError.
        """
        found: list[Ready] = []
        troubles: list[Exception] = []
        for member in self._members:
            try:
                answer = member.receive(self._wait)
            except MemberGone as gone:
                raise self._lost(gone) from gone
            if isinstance(answer, Ready):
                found.append(answer)
            else:
                troubles.append(_as_error(member.rank, answer))
        if troubles:
            # What a person has to mend outranks what smaller micro batches may help.
            raise min(troubles, key=lambda error: isinstance(error, torch.OutOfMemoryError))
        return found

    def drain(self) -> None:
        """Wait for answers that do not matter any more: rank 0 has failed by itself. A lost rank shows at its turn."""
        with contextlib.suppress(RankLostError, torch.OutOfMemoryError, BadInput, FollowerError):
            self.answers()

    def together(self, work: Callable[[Group], None], present: Present = None) -> None:
        """Every rank is ready: let all of them do what they do at once, here `work`. Raises RankLostError."""
        assert self._group is not None, "see meet"
        self.order(Proceed(present))
        try:
            work(self._group)
        except RankLostError:
            raise
        except RuntimeError:
            self._raise_if_lost()
            raise

    def _wait(self, who: str, waited_s: int) -> None:
        if self.while_waiting is None:
            return
        try:
            self.while_waiting(who, waited_s)
        except RankLostError as error:
            raise self._lost(error) from error

    def _look(self, waited_s: int) -> None:
        """Something that all ranks do together takes long: raise RankLostError where it cannot end."""
        lost = next((member for member in self._members if member.is_lost(0)), None)
        if lost is not None:
            raise self._lost(lost.lost())
        self._wait("a rank", waited_s)

    def _raise_if_lost(self) -> None:
        """After an error in something that all ranks did together: raise RankLostError if that is why."""
        lost = next((member for member in self._members if member.is_lost(_NOTICE_S / len(self._members))), None)
        if lost is not None:
            raise self._lost(lost.lost())

    def _lost(self, gone: Exception) -> RankLostError:
        whole = self._group is None or self._group.has_passed(_NOTICE_S)
        self._loss = RankLostError(str(gone), weights_are_whole=whole)
        return self._loss

    def close(self) -> None:
        """End all ranks; those that do not end by themselves are killed."""
        if self._group is not None:
            self._group.close(abort=self._loss is not None)
        for member in self._members:
            with contextlib.suppress(MemberGone):
                member.send(Stop())
        for member in self._members:
            member.close(_END_S if self._loss is None else _END_BROKEN_S)
        shutil.rmtree(self._folder, ignore_errors=True)


def _as_error(rank: int, trouble: Trouble) -> Exception:
    text = f"rank {rank}: {trouble.text}"
    if trouble.kind == "memory":
        return torch.OutOfMemoryError(text)
    error = BadInput(text) if trouble.kind == "input" else FollowerError(text)
    error.add_note(trouble.traceback)
    return error
