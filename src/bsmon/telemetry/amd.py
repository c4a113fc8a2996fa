"""AMD GPUs through amdsmi, where that is installed. Runs in the GPU reader's process, as NVML does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bsmon.core.records import GpuSample
from bsmon.core.text import clean
from bsmon.telemetry.gpu_protocol import GpusUnavailable

_UNSUPPORTED = "not supported by this GPU or by amdsmi"


def open_amd(otherwise: GpusUnavailable) -> Amd:
    """The AMD reader. Raises `otherwise` without amdsmi, GpusUnavailable where amdsmi finds no driver."""
    try:
        import amdsmi
    except (ImportError, OSError, KeyError) as error:  # the package without AMD's library fails in various ways
        raise otherwise from error
    return Amd(amdsmi)


class Amd:
    """amdsmi, initialised."""

    driver = "amdgpu"

    def __init__(self, amdsmi: Any) -> None:
        """Raises GpusUnavailable."""
        self._amdsmi = amdsmi
        try:
            amdsmi.amdsmi_init()
        except amdsmi.AmdSmiException as error:
            raise GpusUnavailable("amdsmi is installed, but the AMD driver does not answer") from error

    def read(self, own_uuid: str = "") -> tuple[GpuSample, ...]:  # noqa: ARG002 - no reading here is slow
        """One sample a GPU. Raises GpusUnavailable when not even the list can be had."""
        try:
            handles = self._amdsmi.amdsmi_get_processor_handles()
        except self._amdsmi.AmdSmiException as error:
            raise GpusUnavailable("the AMD driver does not list its GPUs") from error
        return tuple(self._read_gpu(index, handle) for index, handle in enumerate(handles))

    def _read_gpu(self, index: int, handle: Any) -> GpuSample:
        smi = self._amdsmi
        reasons: dict[str, str] = {}

        def number(field: str, call: Callable[[], Any]) -> float | None:
            """A cell: amdsmi raises, or writes "N/A", for what it does not know."""
            try:
                value = call()
            except (smi.AmdSmiException, KeyError):
                value = None
            if isinstance(value, int | float) and value >= 0:
                return value
            reasons[field] = _UNSUPPORTED
            return None

        vram = smi.AmdSmiMemoryType.VRAM
        total = number("memory_total_bytes", lambda: smi.amdsmi_get_gpu_memory_total(handle, vram))
        used = number("memory_used_bytes", lambda: smi.amdsmi_get_gpu_memory_usage(handle, vram))
        activity = number("utilisation_percent", lambda: smi.amdsmi_get_gpu_activity(handle)["gfx_activity"])
        bandwidth = number("memory_utilisation_percent", lambda: smi.amdsmi_get_gpu_activity(handle)["umc_activity"])
        heat = (smi.AmdSmiTemperatureType.HOTSPOT, smi.AmdSmiTemperatureMetric.CURRENT)
        return GpuSample(
            index=index,
            uuid=self._text(lambda: smi.amdsmi_get_gpu_device_uuid(handle)),
            name=self._text(lambda: smi.amdsmi_get_gpu_asic_info(handle)["market_name"]) or f"GPU {index}",
            memory_total_bytes=_whole(total),
            memory_used_bytes=_whole(used),
            memory_free_bytes=None if total is None or used is None else max(int(total - used), 0),
            utilisation_percent=_percent("utilisation_percent", activity, reasons),
            memory_utilisation_percent=_percent("memory_utilisation_percent", bandwidth, reasons),
            temperature_c=number("temperature_c", lambda: smi.amdsmi_get_temp_metric(handle, *heat)),
            power_w=number("power_w", lambda: _power(smi.amdsmi_get_power_info(handle))),
            reasons=reasons,
        )

    def _text(self, call: Callable[[], object]) -> str:
        try:
            return clean(str(call()))
        except (self._amdsmi.AmdSmiException, KeyError, UnicodeDecodeError):
            return ""


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)


def _percent(field: str, value: float | None, reasons: dict[str, str]) -> float | None:
    if value is not None and value > 100:
        reasons[field] = f"the driver reported {value} %"
        return None
    return value


def _power(info: dict[str, Any]) -> Any:
    """Watts: newer GPUs give the present value, older ones an average; "N/A" stands for the other."""
    current = info.get("current_socket_power")
    return current if isinstance(current, int | float) else info.get("average_socket_power")
