"""The reader's loop, on pipes of bytes; and what it loads."""

from __future__ import annotations

import io
import os
import subprocess
import sys

import pytest

from bsmon.core.records import GpuSample
from bsmon.telemetry import gpu_child
from bsmon.telemetry.gpu_protocol import Answer, GpusUnavailable, Request, decode_answer, encode


class Reader:
    driver = "7"

    def __init__(self, error: Exception | None = None) -> None:
        self._error = error

    def read(self, own_uuid: str) -> tuple[GpuSample, ...]:
        if self._error:
            raise self._error
        return (GpuSample(index=0, uuid=own_uuid, name="one"),)


def answers(requests: bytes, monkeypatch: pytest.MonkeyPatch, reader: Reader) -> list[Answer]:
    monkeypatch.setattr(gpu_child, "open_reader", lambda: reader)
    output = io.BytesIO()
    gpu_child.serve(io.BytesIO(requests), output)
    return [decode_answer(line) for line in output.getvalue().splitlines()]


def test_each_request_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    got = answers(encode(Request("GPU-a")) + encode(Request("GPU-b")), monkeypatch, Reader())
    assert [answer.gpus[0].uuid for answer in got] == ["GPU-a", "GPU-b"]
    assert {answer.driver for answer in got} == {"7"}


@pytest.mark.parametrize(
    ("error", "expected", "absent"),
    [
        (GpusUnavailable("no driver", absent=True), "no driver", True),
        (GpusUnavailable("too old"), "too old", False),
        (ZeroDivisionError("\x1b[2J"), "the GPU reader failed: ZeroDivisionError: \N{REPLACEMENT CHARACTER}[2J", False),
    ],
)
def test_a_problem_is_told_and_ends_the_reader(
    monkeypatch: pytest.MonkeyPatch, error: Exception, expected: str, absent: bool
) -> None:
    (answer,) = answers(encode(Request()) * 2, monkeypatch, Reader(error))
    assert (answer.problem, answer.absent, answer.gpus) == (expected, absent, ())


def test_the_reader_loads_neither_torch_nor_psutil() -> None:
    script = (
        "import sys, bsmon.telemetry.gpu_child, bsmon.telemetry.nvml, bsmon.telemetry.amd\n"
        "print([name for name in ('torch', 'psutil', 'numpy', 'textual') if name in sys.modules])\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
