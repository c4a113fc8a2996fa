"""Which physical GPU a CUDA device number means. CUDA's numbers are not NVML's; UUIDs are the same in both."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bsmon.core.records import GpuSample

_LEADING_NUMBER = re.compile(r"\s*\+?(\d+)")  # CUDA reads "1gpu" as 1
_UUID_PREFIXES = ("GPU-", "MIG-")


@dataclass(frozen=True, slots=True)
class VisibleDevices:
    """CUDA_VISIBLE_DEVICES and CUDA_DEVICE_ORDER as this process has them; `devices` None = the variable is unset."""

    devices: str | None = None
    order: str = ""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> VisibleDevices:
        """Read the variables; the environment must be the one that torch started with.

        On AMD GPUs HIP_VISIBLE_DEVICES comes first, and ROCR_VISIBLE_DEVICES renumbers below it: no number is certain.
        """
        if "ROCR_VISIBLE_DEVICES" in environment:
            return cls(devices="")
        devices = environment.get("HIP_VISIBLE_DEVICES", environment.get("CUDA_VISIBLE_DEVICES"))
        return cls(devices, environment.get("CUDA_DEVICE_ORDER", ""))


def same_uuid(first: str, second: str) -> bool:
    """Whether two UUIDs name the same GPU: torch writes them without the "GPU-" that NVML puts in front."""
    return bool(first) and _bare(first) == _bare(second)


def visible_uuids(visible: VisibleDevices, gpus: Sequence[GpuSample]) -> tuple[str, ...] | None:
    """The UUIDs of the GPUs that CUDA shows this process, in CUDA's order; None where that cannot be known.

    As CUDA does: the list ends at the first entry that is no GPU (-1, empty, out of range, ambiguous), and an entry
    given twice hides all. By number, CUDA counts the fastest GPU first unless CUDA_DEVICE_ORDER=PCI_BUS_ID, while NVML
    counts by bus: among unequal GPUs the numbers alone then say nothing, hence None. Where a GPU is cut into MIG slices
    CUDA shows one slice and no whole GPU, but NVIDIA's MIG guide does not say which one of several.
    """
    whole = [gpu for gpu in gpus if not _is_slice(gpu)]
    if visible.devices is None:
        if len(whole) < len(gpus):
            return _only([gpu.uuid for gpu in gpus if _is_slice(gpu)])
        return tuple(gpu.uuid for gpu in whole) if _numbers_agree(visible, whole) else None
    entries = visible.devices.split(",")
    if entries[0].startswith(_UUID_PREFIXES):
        return _without_repeats([_by_uuid(entry, gpus) for entry in entries])
    numbers = _without_repeats([_by_number(entry, whole) for entry in entries])
    if not numbers:
        return ()
    if not _numbers_agree(visible, whole):
        return None
    return _slices_or_whole(numbers, gpus)


def own_uuid(torch_device: str, visible: VisibleDevices, gpus: Sequence[GpuSample]) -> str:
    """The UUID behind "cuda" or "cuda:1"; "" for another kind of device or where it cannot be known."""
    kind, _, number = torch_device.partition(":")
    uuids = visible_uuids(visible, gpus) if kind == "cuda" else None
    position = int(number) if number.isdigit() else 0
    return uuids[position] if uuids is not None and position < len(uuids) else ""


def own_slice(uuid: str, visible: VisibleDevices, gpus: Sequence[GpuSample]) -> str:
    """The UUID of what the run trains on, where `uuid` may be that of a GPU which is cut into MIG slices.

    CUDA gives the slice's UUID (cuDeviceGetUuid_v2), before CUDA 12 the whole GPU's; but a run has a slice and never
    the whole. "" where it is not certain which one.
    """
    slices = _slices_of(uuid, gpus)
    if not slices:
        return uuid
    named = [found for found in visible_uuids(visible, gpus) or () if found in slices]
    return (_only(named or slices) or ("",))[0]


def _slices_or_whole(uuids: Sequence[str], gpus: Sequence[GpuSample]) -> tuple[str, ...] | None:
    """A GPU that is cut into slices stands for its slice; None where one has several."""
    found = [_only(_slices_of(uuid, gpus) or [uuid]) for uuid in uuids]
    known = [only[0] for only in found if only is not None]
    return tuple(known) if len(known) == len(found) else None


def _slices_of(uuid: str, gpus: Sequence[GpuSample]) -> list[str]:
    indices = {gpu.index for gpu in gpus if not _is_slice(gpu) and same_uuid(gpu.uuid, uuid)}
    return [gpu.uuid for gpu in gpus if _is_slice(gpu) and gpu.index in indices]


def _is_slice(gpu: GpuSample) -> bool:
    return gpu.uuid.startswith("MIG-")


def _only(uuids: Sequence[str]) -> tuple[str, ...] | None:
    return tuple(uuids) if len(uuids) == 1 else None


def _bare(uuid: str) -> str:
    return uuid.strip().lower().removeprefix("gpu-").removeprefix("mig-")


def _numbers_agree(visible: VisibleDevices, whole: Sequence[GpuSample]) -> bool:
    return visible.order == "PCI_BUS_ID" or len({gpu.name for gpu in whole}) <= 1


def _by_uuid(entry: str, gpus: Sequence[GpuSample]) -> str | None:
    """An unambiguous start of a UUID is enough for CUDA."""
    matches = [gpu.uuid for gpu in gpus if gpu.uuid.lower().startswith(entry.strip().lower())]
    is_uuid = entry.startswith(_UUID_PREFIXES)
    return matches[0] if is_uuid and len(matches) == 1 else None


def _by_number(entry: str, whole: Sequence[GpuSample]) -> str | None:
    match = _LEADING_NUMBER.match(entry)
    by_index = {gpu.index: gpu.uuid for gpu in whole}
    return by_index.get(int(match[1])) if match else None


def _without_repeats(found: Sequence[str | None]) -> tuple[str, ...]:
    uuids: list[str] = []
    for uuid in found:
        if uuid is None:
            break
        if uuid in uuids:
            return ()
        uuids.append(uuid)
    return tuple(uuids)
