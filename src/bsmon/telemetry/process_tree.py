"""Processor time, memory and file traffic of this process and of its children: DataLoader workers, mostly."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import psutil

from bsmon.telemetry.attempt import FAILURES
from bsmon.telemetry.rates import Rates


class Traffic(NamedTuple):
    """Bytes so far, of all processes together."""

    read: int  # by system calls
    storage_read: int
    storage_written: int


@dataclass(frozen=True, slots=True)
class TreeUsage:
    """Percent of one core; bytes. None: unknown."""

    rss_bytes: int | None = None
    cpu_percent: float | None = None
    children_cpu_percent: float | None = None
    children: int | None = None
    traffic: Traffic | None = None


class ProcessTree:
    """Reads this process and its children; a child's share counts from its second reading on. One thread uses it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, proc: Path = Path("/proc")) -> None:
        self._clock = clock
        self._proc = proc
        self._rates = Rates()
        self._own = psutil.Process()
        self._children: dict[int, psutil.Process] = {}
        self._excluded: frozenset[int] = frozenset()

    @property
    def pids(self) -> frozenset[int]:
        """The children, as last read; from any thread, because each reading makes a new table."""
        return frozenset(self._children)

    def read(self, exclude: frozenset[int] = frozenset()) -> TreeUsage:
        """One reading; `exclude` lists process ids whose subtrees are not counted."""
        own_cpu, own_rss = self._measure(self._own)
        if not self._find_children(exclude):
            return TreeUsage(rss_bytes=own_rss, cpu_percent=own_cpu)
        measured = [self._measure(child) for child in self._children.values()]
        rates = [cpu for cpu, _ in measured if cpu is not None]
        sizes = [rss for _, rss in measured if rss is not None]
        return TreeUsage(
            rss_bytes=None if own_rss is None else own_rss + sum(sizes),
            cpu_percent=own_cpu,
            children_cpu_percent=sum(rates) if rates else (None if measured else 0.0),
            children=len(sizes),
            traffic=self._traffic(exclude),
        )

    def _traffic(self, exclude: frozenset[int]) -> Traffic | None:
        """What all processes together have read and written so far; None where that is not known of each of them.

        Only the sum can be made a rate of: a child that has ended leaves its count to its parent. For the same reason
        the sum says nothing when an excluded child has ended.
        """
        before, self._excluded = self._excluded, exclude
        if before - exclude:
            return None
        try:
            counts = [process.io_counters() for process in (self._own, *self._children.values())]
            return Traffic(
                read=sum(count.read_chars for count in counts),
                storage_read=sum(count.read_bytes for count in counts),
                storage_written=sum(count.write_bytes for count in counts),
            )
        except FAILURES:
            return None

    def _measure(self, process: psutil.Process) -> tuple[float | None, int | None]:
        """Percent of one core since the last reading, and resident bytes; unknown for a process that ended."""
        try:
            with process.oneshot():
                times, memory = process.cpu_times(), process.memory_info()
        except FAILURES:
            return None, None
        rate = self._rates.per_second(process, times.user + times.system, self._clock())
        return (None if rate is None else 100 * rate), int(memory.rss)

    def _find_children(self, exclude: frozenset[int]) -> bool:
        """Bring the table of children up to date; False where the system does not tell."""
        try:
            found = self._descendants(exclude)
        except FAILURES:
            return False
        self._children = {child.pid: child for child in found}
        self._rates.keep_only({self._own, *found})
        return True

    def _descendants(self, exclude: frozenset[int]) -> list[psutil.Process]:
        pids = _descendant_pids(self._own.pid, exclude, self._proc)
        if pids is None:
            return [child for child in self._own.children(recursive=True) if child.pid not in exclude]
        return [child for pid in pids if (child := self._process(pid)) is not None]

    def _process(self, pid: int) -> psutil.Process | None:
        known = self._children.get(pid)
        try:
            return known if known is not None and known.is_running() else psutil.Process(pid)
        except FAILURES:
            return None


def _descendant_pids(pid: int, exclude: frozenset[int], proc: Path) -> list[int] | None:
    """All descendants by the kernel's own lists; None where the kernel keeps none (CONFIG_PROC_CHILDREN).

    psutil instead reads every process of the machine, 20 ms and more on a busy one, with Python's lock held.
    """
    found: list[int] = []
    waiting = [pid]
    while waiting:
        children = _children_of(waiting.pop(), proc)
        if children is None:
            if not found:
                return None
            continue  # a child that ended meanwhile
        kept = [child for child in children if child not in exclude]
        found += kept
        waiting += kept
    return found


def _children_of(pid: int, proc: Path) -> list[int] | None:
    """The children of all threads of a process: a worker belongs to the thread that started it."""
    folder = proc / str(pid) / "task"
    try:
        return [
            int(child)
            for thread in os.listdir(folder)  # noqa: PTH208 - a plain list of names, without a Path object for each
            for child in (folder / thread / "children").read_text().split()
        ]
    except OSError:
        return None
