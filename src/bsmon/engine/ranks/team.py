"""The other ranks of a run, as rank 0 deals with them: orders to all, answers from all."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch

from bsmon.config.schema import Config
from bsmon.core.errors import BadInput
from bsmon.engine.mishaps import RankLostError
from bsmon.engine.ranks.child import Member, MemberGone
from bsmon.engine.ranks.group import Group
from bsmon.engine.ranks.orders import Begin, Order, Present, Proceed, Ready, Stop, Trouble
from bsmon.engine.ranks.sums import GradientSums

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
        self._is_broken = False

    @property
    def world_size(self) -> int:
        """Ranks, this one included."""
        return 1 + len(self._members)

    @property
    def pids(self) -> tuple[int, ...]:
        """Their processes."""
        return tuple(member.pid for member in self._members)

    @property
    def group(self) -> Group:
        """What all ranks do together; after `meet`."""
        assert self._group is not None, "see meet"
        return self._group

    def begin(self, config: Config) -> None:
        """Let them build the training, each by itself; `meet` waits for it."""
        for member in self._members:
            member.send(Begin(config, member.rank, self._store))

    def meet(self) -> None:
        """Wait until every rank is up. Raises RankLostError, or what hindered one of them."""
        self.answers()
        self.order(Proceed())
        self._group = Group(self._device, self._store, 0, self.world_size)

    @property
    def _store(self) -> str:
        return str(self._folder / "store")

    def order(self, order: Order) -> None:
        """Tell every rank. Raises RankLostError."""
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
                answer = member.receive()
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

    def add_up(self, sums: GradientSums, present: Present) -> None:
        """Every rank is ready: add up their gradients. Raises RankLostError."""
        self.order(Proceed(present))
        try:
            sums.add_up(self.group, present)
        except RuntimeError:
            self._raise_if_lost()
            raise

    def _raise_if_lost(self) -> None:
        """After an error in something that all ranks did together: raise RankLostError if that is why."""
        lost = next((member for member in self._members if member.is_lost(_NOTICE_S / len(self._members))), None)
        if lost is not None:
            raise self._lost(lost.lost())

    def _lost(self, gone: MemberGone) -> RankLostError:
        self._is_broken = True
        whole = self._group is None or self._group.has_passed(_NOTICE_S)
        return RankLostError(str(gone), weights_are_whole=whole)

    def close(self) -> None:
        """End all ranks; those that do not end by themselves are killed."""
        if self._group is not None:
            self._group.close(abort=self._is_broken)
        for member in self._members:
            with contextlib.suppress(MemberGone):
                member.send(Stop())
        for member in self._members:
            member.close(_END_BROKEN_S if self._is_broken else _END_S)
        shutil.rmtree(self._folder, ignore_errors=True)


def _as_error(rank: int, trouble: Trouble) -> Exception:
    text = f"rank {rank}: {trouble.text}"
    if trouble.kind == "memory":
        return torch.OutOfMemoryError(text)
    error = BadInput(text) if trouble.kind == "input" else FollowerError(text)
    error.add_note(trouble.traceback)
    return error
