"""The GPUs as the sampler sees them: the newest answer of the reader's process, however that process fares.

A process that misses its deadline is killed and, after a growing pause, replaced. Until numbers come again the last
ones stay, marked with their age and the reason.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import msgspec

from bsmon.core.records import GpuSample
from bsmon.telemetry.gpu_process import GpuReaderProcess, ReaderGone
from bsmon.telemetry.gpu_protocol import Answer, Request, decode_answer


class ReaderProcess(Protocol):
    """What the client needs of the reader's process."""

    pid: int

    def ask(self, request: Request) -> None: ...  # noqa: D102 - see GpuReaderProcess
    def receive(self, timeout_s: float) -> bytes | None: ...  # noqa: D102 - see GpuReaderProcess
    def kill(self) -> None: ...  # noqa: D102 - see GpuReaderProcess
    def is_dead(self) -> bool: ...  # noqa: D102 - see GpuReaderProcess


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds. Starting a driver without persistence mode takes it seconds, hence the longer first deadline."""

    answer: float = 2.0
    first_answer: float = 15.0
    first_pause: float = 1.0
    longest_pause: float = 60.0
    proven: float = 30.0  # a process that answered this long starts the pauses from the first again


@dataclass(frozen=True, slots=True)
class GpuReading:
    """All GPUs at one moment. `status`: why there are none or why they are old; "" when all is well."""

    gpus: tuple[GpuSample, ...] = ()
    status: str = ""
    driver: str = ""
    cpu_s: float = 0.0  # processor time of all reader processes so far
    absent: bool = False  # there is no GPU driver, and nothing asks again


class GpuClient:
    """Keeps one reader process alive and asks it once a poll. One thread uses it; no call waits long."""

    def __init__(
        self,
        deadlines: Deadlines = Deadlines(),
        start: Callable[[], ReaderProcess] = GpuReaderProcess,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._deadlines = deadlines
        self._start = start
        self._clock = clock
        self._process: ReaderProcess | None = None
        self._dying: ReaderProcess | None = None
        self._started_at = 0.0
        self._asked_at: float | None = None
        self._answered = False  # the present process has answered at least once
        self._failures = 0
        self._retry_at = 0.0
        self._answer = Answer()
        self._problem = "waiting for the GPU driver"
        self._absent = False
        self._earlier_cpu_s = 0.0
        self._seen: dict[int, tuple[float, tuple[GpuSample, ...]]] = {}

    @property
    def pids(self) -> frozenset[int]:
        """The reader's processes, one that is dying included: none of them is a worker of the run."""
        return frozenset(process.pid for process in (self._process, self._dying) if process is not None)

    @property
    def is_running(self) -> bool:
        """Whether a reader process is there to answer."""
        return self._process is not None

    @property
    def last(self) -> tuple[GpuSample, ...]:
        """The GPUs of the newest answer, without a new question."""
        return self._answer.gpus

    def poll(self, own_uuid: str = "", wait_s: float = 0.25) -> GpuReading:
        """Ask, wait this long at most for the answer, and return the newest that is known; never raises."""
        if self._process is None and self._may_start():
            self._begin()
        if self._process is not None:
            try:
                self._converse(self._process, own_uuid, wait_s)
            except ReaderGone as error:
                self._fail(str(error))
        return self._reading()

    def close(self) -> None:
        """End the reader's process without waiting for it."""
        self._end_process()

    def _may_start(self) -> bool:
        if self._dying is not None and not self._dying.is_dead():
            return False  # it hangs in the driver, where even a kill does not reach it; another would hang beside it
        self._dying = None
        return not self._absent and self._clock() >= self._retry_at

    def _begin(self) -> None:
        self._started_at = self._clock()
        self._answered = False
        try:
            self._process = self._start()
        except OSError as error:
            self._fail(f"the GPU reader cannot be started: {error.strerror}")

    def _converse(self, process: ReaderProcess, own_uuid: str, wait_s: float) -> None:
        if self._asked_at is None:
            process.ask(Request(own_uuid))
            self._asked_at = self._clock()
        line = process.receive(wait_s)
        if line is not None:
            self._take(line)
            return
        waited = self._clock() - self._asked_at
        if waited > (self._deadlines.answer if self._answered else self._deadlines.first_answer):
            self._fail("the GPU driver does not answer")

    def _take(self, line: bytes) -> None:
        self._asked_at = None
        try:
            answer = decode_answer(line)
        except msgspec.MsgspecError as error:
            raise ReaderGone("the GPU reader sent nonsense") from error
        if answer.problem:
            self._absent = answer.absent
            self._answer = replace(self._answer, cpu_s=answer.cpu_s)
            self._fail(answer.problem)
            return
        self._answer = answer
        self._answered = True
        self._problem = ""
        now = self._clock()
        if now - self._started_at > self._deadlines.proven:
            self._failures = 0
        self._remember(answer.gpus, now)

    def _remember(self, gpus: tuple[GpuSample, ...], now: float) -> None:
        for index, samples in _by_index(gpus).items():
            if not any("gpu" in sample.reasons for sample in samples):
                self._seen[index] = (now, samples)

    def _fail(self, problem: str) -> None:
        self._problem = problem
        self._end_process()
        pause = min(self._deadlines.first_pause * 2**self._failures, self._deadlines.longest_pause)
        self._failures = min(self._failures + 1, 16)
        self._retry_at = self._clock() + pause

    def _end_process(self) -> None:
        self._asked_at = None
        self._earlier_cpu_s += self._answer.cpu_s
        self._answer = replace(self._answer, cpu_s=0.0)
        if self._process is not None:
            self._process.kill()
            self._dying, self._process = self._process, None

    def _reading(self) -> GpuReading:
        now = self._clock()
        groups = _by_index(self._answer.gpus)
        gpus = tuple(gpu for index, answered in groups.items() for gpu in self._fresh_or_last(index, answered, now))
        return GpuReading(
            gpus=gpus,
            status=self._problem or ("" if gpus else "the GPU driver sees no GPU"),
            driver=self._answer.driver,
            cpu_s=self._earlier_cpu_s + self._answer.cpu_s,
            absent=self._absent,
        )

    def _fresh_or_last(self, index: int, answered: tuple[GpuSample, ...], now: float) -> tuple[GpuSample, ...]:
        """A GPU (with its MIG slices) as answered, or its last numbers with their age when it, or all, is silent."""
        lost = next((gpu.reasons["gpu"] for gpu in answered if "gpu" in gpu.reasons), "")
        reason = self._problem or lost or self._lateness(now)
        if not reason or index not in self._seen:
            return answered
        taken_at, last = self._seen[index]
        return tuple(_aged(gpu, now - taken_at, reason) for gpu in last)

    def _lateness(self, now: float) -> str:
        late = self._asked_at is not None and now - self._asked_at > self._deadlines.answer / 2
        return "the GPU driver is slow to answer" if late else ""


def _by_index(gpus: tuple[GpuSample, ...]) -> dict[int, tuple[GpuSample, ...]]:
    """Samples grouped by GPU: one whose slices are read apart has several."""
    groups: dict[int, tuple[GpuSample, ...]] = {}
    for gpu in gpus:
        groups[gpu.index] = (*groups.get(gpu.index, ()), gpu)
    return groups


def _aged(sample: GpuSample, age_s: float, reason: str) -> GpuSample:
    return replace(sample, stale_s=age_s, reasons={**sample.reasons, "gpu": reason})
