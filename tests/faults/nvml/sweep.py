"""Runs in a process of its own, on the stub: every error code at every call, on each GPU and on all.

    python -m tests.faults.nvml.sweep [CODE ...]

prints a JSON report: how many faults were tried, and what went wrong under which.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from functools import cache

from bsmon.core.records import GpuSample
from bsmon.telemetry.gpu_protocol import Answer, GpusUnavailable, decode_answer, encode
from bsmon.telemetry.nvml import Nvml
from tests.faults.nvml.stub import DEVICE_FUNCTIONS, ERROR_CODES, GLOBAL_FUNCTIONS, DirectControl, uuid_of

GPUS = 2
_NOT_CELLS = {"index", "uuid", "name", "is_mine", "own_process_bytes", "stale_s", "reasons"}
CELLS = [field.name for field in fields(GpuSample) if field.name not in _NOT_CELLS]
FATAL = ("nvmlInit", "nvmlDeviceGetCount")
"""Without these nothing can be read at all."""

WHOLE: dict[str, object] = {"count": GPUS}
SLICED: dict[str, object] = {**WHOLE, "mig": 1, "slices": 2}


@dataclass(frozen=True)
class Fault:
    """`gpu` None: on every GPU."""

    function: str
    code: int
    gpu: int | None

    @property
    def own(self) -> int:
        """The GPU that the run is said to train on: the one that fails."""
        return self.gpu or 0

    @property
    def healthy(self) -> dict[str, object]:
        """The machine without the fault; calls about MIG are made only where there are slices."""
        return SLICED if "Mig" in self.function else WHOLE

    @property
    def faulty(self) -> dict[str, object]:
        """The machine with it."""
        where = "" if self.gpu is None else f".{self.gpu}"
        return {**self.healthy, f"fault.{self.function}{where}": self.code}

    def __str__(self) -> str:
        return f"{self.function}={self.code} on {'all' if self.gpu is None else self.gpu}"


def faults(codes: Sequence[int]) -> Iterator[Fault]:
    """All of them."""
    for code in codes:
        yield from (Fault(function, code, None) for function in GLOBAL_FUNCTIONS)
        yield from (Fault(function, code, gpu) for function in DEVICE_FUNCTIONS for gpu in (None, *range(GPUS)))


def read(reader: Nvml, own: int) -> Answer:
    """What the reader's process would answer."""
    return Answer(reader.read(uuid_of(own)), reader.driver)


@cache
def read_healthy(control: DirectControl, own: int, sliced: bool) -> Answer:
    """The machine without faults."""
    control.set(SLICED if sliced else WHOLE)
    return read(Nvml(), own)


def broken_promises(gpu: GpuSample) -> list[str]:
    """What is wrong with a sample: a None without its reason, an impossible number, a fake 0."""
    explained = gpu.reasons.keys() | ({*CELLS} if "gpu" in gpu.reasons else set())
    if gpu.uuid.startswith("MIG-") or "MIG" in gpu.name:
        explained |= {*CELLS}  # of a slice only memory and processes are read
    wrong = [f"{cell} without a reason" for cell in CELLS if getattr(gpu, cell) is None and cell not in explained]
    if gpu.utilisation_percent is not None and not 0 < gpu.utilisation_percent <= 100:
        wrong.append(f"utilisation {gpu.utilisation_percent}")
    if any(not reason.isprintable() or not reason for reason in gpu.reasons.values()):
        wrong.append(f"unreadable reason {gpu.reasons}")
    return wrong


def try_fault(control: DirectControl, fault: Fault) -> list[str]:
    """Read with the fault, and without it again; the list of what went wrong."""
    healthy = read_healthy(control, fault.own, fault.healthy is SLICED)
    control.set(fault.faulty)
    try:
        reader = Nvml()
        answer = read(reader, fault.own)
    except GpusUnavailable as error:
        return [] if fault.function in FATAL and str(error).isprintable() else [f"gave up: {error}"]
    wrong = [problem for gpu in answer.gpus for problem in broken_promises(gpu)]
    if answer == healthy:
        wrong.append("shows nothing of the fault")
    if fault.gpu is not None and _of(answer, 1 - fault.gpu) != _of(healthy, 1 - fault.gpu):
        wrong.append("the other GPU suffers")
    if decode_answer(encode(answer)) != answer:
        wrong.append("does not survive the pipe")
    control.set(fault.healthy)
    if read(reader, fault.own).gpus != healthy.gpus:
        wrong.append("does not recover")
    return wrong


def _of(answer: Answer, index: int) -> list[GpuSample]:
    return [gpu for gpu in answer.gpus if gpu.index == index]


def main() -> None:
    """Try all faults; the report has the number tried and the failures."""
    control = DirectControl()
    codes = [int(code) for code in sys.argv[1:]] or ERROR_CODES
    report = {str(fault): try_fault(control, fault) for fault in faults(codes)}
    print(json.dumps({"tried": len(report), "failures": {fault: wrong for fault, wrong in report.items() if wrong}}))  # noqa: T201 - the report


if __name__ == "__main__":
    main()
