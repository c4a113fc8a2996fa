"""AMD GPUs on a made-up amdsmi, with the names and shapes of its documentation (7.0)."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from bsmon.telemetry.amd import Amd, open_amd
from bsmon.telemetry.gpu_protocol import GpusUnavailable


class AmdSmiError(Exception):
    """Stands for AmdSmiException."""


def amdsmi(**replaced: Any) -> Any:
    calls: dict[str, Any] = {
        "amdsmi_init": lambda: None,
        "amdsmi_get_processor_handles": lambda: ["gpu"],
        "amdsmi_get_gpu_device_uuid": lambda _gpu: "a5ff-74a1",
        "amdsmi_get_gpu_asic_info": lambda _gpu: {"market_name": "MI300X"},
        "amdsmi_get_gpu_memory_total": lambda _gpu, _kind: 192 << 30,
        "amdsmi_get_gpu_memory_usage": lambda _gpu, _kind: 2 << 30,
        "amdsmi_get_gpu_activity": lambda _gpu: {"gfx_activity": 88, "umc_activity": 12, "mm_activity": "N/A"},
        "amdsmi_get_temp_metric": lambda _gpu, _sensor, _metric: 61,
        "amdsmi_get_power_info": lambda _gpu: {"current_socket_power": 410, "average_socket_power": "N/A"},
    }
    return SimpleNamespace(
        AmdSmiException=AmdSmiError,
        AmdSmiMemoryType=SimpleNamespace(VRAM=0),
        AmdSmiTemperatureType=SimpleNamespace(HOTSPOT=1),
        AmdSmiTemperatureMetric=SimpleNamespace(CURRENT=0),
        **{**calls, **replaced},
    )


def fail(*_arguments: object) -> Any:
    raise AmdSmiError


def test_a_gpu_is_read() -> None:
    (gpu,) = Amd(amdsmi()).read()
    assert (gpu.index, gpu.uuid, gpu.name) == (0, "a5ff-74a1", "MI300X")
    assert (gpu.memory_total_bytes, gpu.memory_used_bytes, gpu.memory_free_bytes) == (192 << 30, 2 << 30, 190 << 30)
    assert (gpu.utilisation_percent, gpu.memory_utilisation_percent) == (88, 12)
    assert (gpu.temperature_c, gpu.power_w, gpu.reasons) == (61, 410, {})


@pytest.mark.parametrize(
    ("call", "result", "cell"),
    [
        ("amdsmi_get_gpu_memory_usage", fail, "memory_used_bytes"),
        ("amdsmi_get_gpu_activity", fail, "utilisation_percent"),
        ("amdsmi_get_gpu_activity", lambda _gpu: {"gfx_activity": "N/A"}, "utilisation_percent"),
        ("amdsmi_get_gpu_activity", lambda _gpu: {"gfx_activity": 65535}, "utilisation_percent"),
        ("amdsmi_get_gpu_activity", lambda _gpu: {"gfx_activity": 1}, "memory_utilisation_percent"),
        ("amdsmi_get_temp_metric", fail, "temperature_c"),
        ("amdsmi_get_power_info", lambda _gpu: {"average_socket_power": "N/A"}, "power_w"),
    ],
)
def test_what_is_not_known_has_a_reason(call: str, result: Any, cell: str) -> None:
    (gpu,) = Amd(amdsmi(**{call: result})).read()
    assert getattr(gpu, cell) is None
    assert gpu.reasons[cell]


def test_older_gpus_give_an_average_of_their_power() -> None:
    info = {"current_socket_power": "N/A", "average_socket_power": 90}
    (gpu,) = Amd(amdsmi(amdsmi_get_power_info=lambda _gpu: info)).read()
    assert gpu.power_w == 90


def test_names_are_cleaned() -> None:
    (gpu,) = Amd(
        amdsmi(amdsmi_get_gpu_asic_info=lambda _gpu: {"market_name": "\x1b[2J"}, amdsmi_get_gpu_device_uuid=fail)
    ).read()
    assert gpu.name.isprintable()
    assert gpu.uuid == ""


@pytest.mark.parametrize("call", ["amdsmi_init", "amdsmi_get_processor_handles"])
def test_a_driver_that_does_not_answer(call: str) -> None:
    with pytest.raises(GpusUnavailable, match="AMD driver"):
        Amd(amdsmi(**{call: fail})).read()


def test_without_amdsmi_the_nvidia_reason_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "amdsmi", None)
    reason = GpusUnavailable("no NVIDIA driver found", absent=True)
    with pytest.raises(GpusUnavailable) as caught:
        open_amd(otherwise=reason)
    assert caught.value is reason


def test_with_amdsmi_the_amd_gpus_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "amdsmi", amdsmi())
    reader = open_amd(otherwise=GpusUnavailable("no NVIDIA driver found", absent=True))
    assert reader.read()[0].name == "MI300X"
