"""Every NVML error code at every call that bsmon makes, on each GPU: through the real pynvml, on the stub."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.nvml.stub import DEVICE_FUNCTIONS, ERROR_CODES, GLOBAL_FUNCTIONS, Control

FAULTS_PER_CODE = len(GLOBAL_FUNCTIONS) + 3 * len(DEVICE_FUNCTIONS)
REPOSITORY = Path(__file__).parents[3]


def python(library: Path, control: Control, *arguments: str) -> str:
    """What a Python process that loads the stub prints."""
    environment = {**control.environment(library), "PYTHONPATH": f"{REPOSITORY / 'src'}:{REPOSITORY}"}
    command = [sys.executable, *arguments]
    return subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True, timeout=100).stdout


def sweep(library: Path, control: Control, *codes: int) -> dict[str, object]:
    """The report of a sweep in a process of its own."""
    report = python(library, control, "-m", "tests.faults.nvml.sweep", *map(str, codes))
    return dict(json.loads(report))


def test_every_error_code_at_every_call(stub: Path, control: Control) -> None:
    report = sweep(stub, control)
    assert report == {"tried": len(ERROR_CODES) * FAULTS_PER_CODE, "failures": {}}


@pytest.mark.parametrize("code", [3, 15, 999])
def test_the_same_on_an_old_driver(old_stub: Path, control: Control, code: int) -> None:
    assert sweep(old_stub, control, code) == {"tried": FAULTS_PER_CODE, "failures": {}}


@pytest.mark.parametrize("shutdown", [0, 999])
def test_nvml_is_initialised_anew_for_a_lost_gpu_but_not_all_the_time(
    stub: Path, control: Control, shutdown: int
) -> None:
    control.set({"lost_before": 2, "fault.nvmlShutdown": shutdown})
    script = (
        "from bsmon.telemetry.nvml import Nvml\n"
        "now = 0.0\n"
        "reader = Nvml(clock=lambda: now)\n"
        "for now in (1.0, 5.0, 11.0, 12.0):\n"
        "    print(reader.read('')[0].reasons.get('gpu', 'readable'))\n"
    )
    lost = "the GPU is lost: it fell off the bus"
    assert python(stub, control, "-c", script).splitlines() == [lost, lost, "readable", "readable"]
