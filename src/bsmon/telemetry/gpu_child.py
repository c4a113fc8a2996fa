"""The process that talks to the GPU driver: `python -m bsmon.telemetry.gpu_child`.

A request line on standard input, an answer line on standard output. A driver call may hang or crash; here that costs a
sample, in the training process it would cost the run. Imports neither torch nor psutil, so that it starts fast.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import time
from dataclasses import replace
from typing import BinaryIO, Protocol

from bsmon.core.records import GpuSample
from bsmon.core.text import clean
from bsmon.telemetry.gpu_protocol import Answer, GpusUnavailable, Request, decode_request, encode

_PR_SET_PDEATHSIG = 1


class GpuReader(Protocol):
    """A GPU library, initialised."""

    driver: str

    def read(self, own_uuid: str) -> tuple[GpuSample, ...]:
        """All GPUs, once. Raises GpusUnavailable."""
        ...


def main() -> None:
    """Answer until standard input ends or the library is of no use any more."""
    _die_with_parent()
    with _private_stdout() as output:
        serve(sys.stdin.buffer, output)


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """One answer a request. Ends after an answer with a problem: a fresh process is what loads a fresh library."""
    reader: GpuReader | None = None
    for line in requests:
        try:
            reader = reader or open_reader()
            answer = _read(reader, decode_request(line))
        except GpusUnavailable as error:
            answer = Answer(problem=str(error), absent=error.absent)
        except Exception as error:  # noqa: BLE001 - the edge of the process: the parent is told, and starts another
            answer = Answer(problem=clean(f"the GPU reader failed: {type(error).__name__}: {error}"))
        answers.write(encode(replace(answer, cpu_s=time.process_time())))
        answers.flush()
        if answer.problem:
            return


def open_reader() -> GpuReader:
    """NVML where there is an NVIDIA driver, else amdsmi where that is installed. Raises GpusUnavailable."""
    try:
        from bsmon.telemetry.nvml import Nvml
    except ImportError as error:
        raise GpusUnavailable("the package nvidia-ml-py is not installed", absent=True) from error
    try:
        return Nvml()
    except GpusUnavailable as error:
        if not error.absent:
            raise
        from bsmon.telemetry.amd import open_amd

        return open_amd(otherwise=error)


def _read(reader: GpuReader, request: Request) -> Answer:
    return Answer(gpus=reader.read(request.own), driver=reader.driver)


def _die_with_parent() -> None:
    """The kernel kills this process when its parent's thread ends, even while it hangs in a driver call."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _private_stdout() -> contextlib.AbstractContextManager[BinaryIO]:
    """Standard output for answers alone: what a driver library prints goes nowhere."""
    private = os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    return private


if __name__ == "__main__":
    main()
