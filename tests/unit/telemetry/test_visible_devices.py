"""CUDA_VISIBLE_DEVICES in all its forms."""

from __future__ import annotations

import pytest

from bsmon.core.records import GpuSample
from bsmon.telemetry.visible_devices import VisibleDevices, own_slice, own_uuid, same_uuid, visible_uuids

UUIDS = ("GPU-aa11", "GPU-aa22", "GPU-bb33")
ALIKE = tuple(GpuSample(index=index, uuid=uuid, name="H200") for index, uuid in enumerate(UUIDS))
MIXED = (*ALIKE[:2], GpuSample(index=2, uuid="GPU-bb33", name="T4"))
SLICED = (ALIKE[0], GpuSample(0, "MIG-aa", "H200 MIG"), GpuSample(0, "MIG-bb", "H200 MIG"), *ALIKE[1:])
ONE_SLICE = (ALIKE[0], ALIKE[1], GpuSample(1, "MIG-cc", "H200 MIG"))
A, B, C = UUIDS


@pytest.mark.parametrize(
    ("devices", "expected"),
    [
        (None, UUIDS),
        ("0", (A,)),
        ("2,0", (C, A)),
        (" 1 , 2 ", (B, C)),
        ("1gpu2,2ampere", (B, C)),
        ("", ()),
        ("-1", ()),
        ("0,-1,1", (A,)),
        ("0,9,1", (A,)),
        ("NoDevFiles", ()),
        ("0,0", ()),
        ("0,1,0", ()),
        ("GPU-bb33,GPU-aa11", (C, A)),
        ("GPU-b", (C,)),
        ("GPU-aa", ()),
        ("GPU-aa11,GPU-aa1", ()),
        ("GPU-aa11,1", (A,)),
        ("GPU-zz", ()),
        ("MIG-zz", ()),
    ],
)
def test_as_cuda_reads_it(devices: str | None, expected: tuple[str, ...]) -> None:
    assert visible_uuids(VisibleDevices(devices), ALIKE) == expected


@pytest.mark.parametrize(
    ("devices", "expected"),
    [("MIG-bb", ("MIG-bb",)), ("MIG-aa,MIG-bb", ("MIG-aa", "MIG-bb")), ("1", (B,)), ("0", None), (None, None)],
)
def test_which_of_several_slices_only_their_uuids_tell(devices: str | None, expected: tuple[str, ...] | None) -> None:
    assert visible_uuids(VisibleDevices(devices), SLICED) == expected


@pytest.mark.parametrize(("devices", "expected"), [(None, ("MIG-cc",)), ("1", ("MIG-cc",)), ("0", (A,))])
def test_the_only_slice_is_what_cuda_shows(devices: str | None, expected: tuple[str, ...]) -> None:
    assert visible_uuids(VisibleDevices(devices), ONE_SLICE) == expected


@pytest.mark.parametrize(
    ("uuid", "devices", "gpus", "expected"),
    [
        ("aa11", None, ALIKE, "aa11"),
        ("aa11", None, SLICED, ""),
        ("aa11", "MIG-bb", SLICED, "MIG-bb"),
        ("bb", "MIG-bb", SLICED, "bb"),
        ("aa22", None, SLICED, "aa22"),
        ("aa22", None, ONE_SLICE, "MIG-cc"),
        ("unknown", None, SLICED, "unknown"),
    ],
)
def test_a_run_trains_on_a_slice_also_where_torch_names_the_whole_gpu(
    uuid: str, devices: str | None, gpus: tuple[GpuSample, ...], expected: str
) -> None:
    assert own_slice(uuid, VisibleDevices(devices), gpus) == expected


@pytest.mark.parametrize(
    ("visible", "expected"),
    [
        (VisibleDevices(None), None),
        (VisibleDevices("1,2"), None),
        (VisibleDevices("1,2", "PCI_BUS_ID"), (B, C)),
        (VisibleDevices(None, "PCI_BUS_ID"), UUIDS),
        (VisibleDevices("GPU-bb33"), (C,)),
        (VisibleDevices("-1"), ()),
    ],
)
def test_numbers_among_unequal_gpus_are_certain_only_by_bus(
    visible: VisibleDevices, expected: tuple[str, ...] | None
) -> None:
    assert visible_uuids(visible, MIXED) == expected


@pytest.mark.parametrize(
    ("device", "devices", "expected"),
    [
        ("cuda", "2,0", C),
        ("cuda:1", "2,0", A),
        ("cuda:5", "2,0", ""),
        ("cuda:0", "-1", ""),
        ("cpu", None, ""),
        ("mps", None, ""),
    ],
)
def test_the_gpu_of_a_torch_device(device: str, devices: str | None, expected: str) -> None:
    assert own_uuid(device, VisibleDevices(devices), ALIKE) == expected


@pytest.mark.parametrize(
    ("environment", "devices"),
    [
        ({}, None),
        ({"CUDA_VISIBLE_DEVICES": "1"}, "1"),
        ({"CUDA_VISIBLE_DEVICES": "1", "HIP_VISIBLE_DEVICES": "2"}, "2"),
        ({"ROCR_VISIBLE_DEVICES": "1"}, ""),
    ],
)
def test_the_environment(environment: dict[str, str], devices: str | None) -> None:
    assert VisibleDevices.from_environment(environment).devices == devices


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("GPU-AB12", "ab12", True),
        ("MIG-ab12", "ab12", True),
        ("GPU-ab12", "GPU-ab13", False),
        ("", "", False),
        ("", "ab12", False),
    ],
)
def test_torch_writes_uuids_without_a_prefix(first: str, second: str, same: bool) -> None:
    assert same_uuid(first, second) is same
