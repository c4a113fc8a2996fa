"""What all ranks do together: sums and copies of tensors, through gloo on the CPU and NCCL on CUDA devices.

The process groups are made directly, not through torch.distributed's global one: a model's own code that asks for that
finds none, as without bsmon, and nothing of it outlives a run.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from itertools import count
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

_FileStore: Any = dist.FileStore  # type: ignore[attr-defined]  # public, and missing in torch's stubs
_MEETING = timedelta(seconds=120)
# A rank that is stopped (Ctrl-Z) is no reason to end; one that has died is noticed by the closed connection.
_PATIENCE = timedelta(days=7)
_LOOK = timedelta(seconds=1)


class Group:
    """The ranks of one run. Making it waits for all of them."""

    def __init__(
        self,
        device: torch.device,
        store: str,
        rank: int,
        world_size: int,
        while_waiting: Callable[[int], None] | None = None,
    ) -> None:
        """`store`: a file that no other run uses.

        `while_waiting`: told about every second for how many seconds something that all ranks do on the CPU has not
        ended; it may raise to give up. Without it, nothing but the process's end ends the waiting.
        """
        file = _FileStore(store, world_size)
        file.set_timeout(_MEETING)
        self._cuda = device.type == "cuda"
        self._group: Any = _nccl(file, rank, world_size) if self._cuda else _gloo(file, rank, world_size)
        self._sum, self._copy = dist.AllreduceOptions(), dist.BroadcastOptions()
        self._sum.timeout = self._copy.timeout = _PATIENCE
        self._copy.rootRank = 0
        self._passed: torch.cuda.Event | None = None
        self._while_waiting = while_waiting
        self._is_stuck = False

    def add_up(self, tensor: Tensor) -> None:
        """Replace `tensor` by the sum over all ranks, bit for bit the same on each. Waits for no GPU."""
        self._wait(self._group.allreduce([tensor], self._sum))
        if self._cuda:
            self._passed = torch.cuda.Event()
            self._passed.record()

    def copy_from_first(self, tensor: Tensor) -> None:
        """Replace `tensor` by rank 0's."""
        self._wait(self._group.broadcast([tensor], self._copy))

    def _wait(self, work: Any) -> None:
        if self._cuda or self._while_waiting is None:
            work.wait()  # on CUDA it is the GPU that waits
            return
        # Gloo never notices that a rank has died where its connection closed before the sum began.
        for looks in count(1):
            with contextlib.suppress(RuntimeError):
                work.wait(_LOOK)
                return
            if work.is_completed():
                work.wait()  # raises what it failed with
                return
            self._is_stuck = True
            self._while_waiting(looks * _LOOK.seconds)
            self._is_stuck = False

    def has_passed(self, patience_s: float) -> bool:
        """Whether the last sum is complete, so that what was made of it is whole; waits at most so long for a GPU."""
        give_up = time.monotonic() + patience_s
        while self._passed is not None and not self._passed.query():
            if time.monotonic() > give_up:
                return False
            time.sleep(0.01)
        return True

    def close(self, *, abort: bool) -> None:
        """Let go of the connections. `abort`: a rank is lost, and a sum on the GPU may be waiting for it."""
        with contextlib.suppress(RuntimeError):
            if abort and self._cuda:
                self._group.abort()
            elif self._cuda:
                self._group.shutdown()
        if self._is_stuck:
            threading.Thread(target=_keep, args=(self._group,), name="bsmon-stuck-sum", daemon=True).start()


def _keep(group: object) -> None:
    """Hold on to a group until the process ends: its destruction would wait for a sum that never ends."""
    threading.Event().wait()
    del group


def _gloo(store: object, rank: int, world_size: int) -> object:
    kind: Any = dist.ProcessGroupGloo
    options = kind._Options()
    # The ranks are processes of one machine: nothing is opened to the network.
    options._devices = [kind.create_device(hostname="127.0.0.1")]
    options._timeout = _MEETING
    return kind(store, rank, world_size, options)


def _nccl(store: object, rank: int, world_size: int) -> object:
    kind: Any = dist.ProcessGroupNCCL
    options = kind.Options()
    options._timeout = _PATIENCE
    return kind(store, rank, world_size, options)
