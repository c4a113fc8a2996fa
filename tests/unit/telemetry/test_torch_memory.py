"""Torch's allocator: nothing is started to read it, and what a device does not keep is unknown."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from bsmon.core.records import TorchMemory
from bsmon.telemetry.torch_memory import device_uuid, read_torch_memory

STATISTICS = {
    "allocated_bytes.all.current": 10,
    "reserved_bytes.all.current": 20,
    "allocated_bytes.all.peak": 15,
    "inactive_split_bytes.all.current": 3,
    "num_alloc_retries": 2,
    "num_ooms": 1,
}


def fake_torch(statistics: dict[str, int], *, started: bool = True, hip: str | None = None) -> Any:
    return SimpleNamespace(
        device=lambda name: name,
        version=SimpleNamespace(hip=hip),
        cuda=SimpleNamespace(
            is_initialized=lambda: started,
            memory_stats=lambda _device: statistics,
            get_device_properties=lambda _device: SimpleNamespace(uuid="ab-12"),
        ),
        backends=SimpleNamespace(mps=SimpleNamespace(is_available=lambda: True)),
        mps=SimpleNamespace(current_allocated_memory=lambda: 5, driver_allocated_memory=lambda: 9),
    )


@pytest.mark.parametrize(
    ("device", "torch", "expected"),
    [
        ("cuda:0", fake_torch(STATISTICS), TorchMemory(10, 20, 15, 2, 1, 3)),
        ("cuda", fake_torch(STATISTICS, started=False), None),
        ("cuda", fake_torch({}), None),
        ("cpu", fake_torch(STATISTICS), None),
        ("mps", fake_torch({}), TorchMemory(5, 9, None)),
        ("cuda", None, None),
    ],
)
def test_the_allocators_numbers(
    monkeypatch: pytest.MonkeyPatch, device: str, torch: Any, expected: TorchMemory | None
) -> None:
    monkeypatch.setitem(sys.modules, "torch", torch)
    assert read_torch_memory(device) == expected


@pytest.mark.parametrize(
    ("device", "torch", "expected"),
    [
        ("cuda:0", fake_torch({}), "ab-12"),
        ("cuda:0", fake_torch({}, started=False), None),
        ("cuda:0", fake_torch({}, hip="6.2"), None),
        ("cpu", fake_torch({}), None),
        ("cuda:0", None, None),
    ],
)
def test_the_uuid_that_torch_knows(
    monkeypatch: pytest.MonkeyPatch, device: str, torch: Any, expected: str | None
) -> None:
    monkeypatch.setitem(sys.modules, "torch", torch)
    assert device_uuid(device) == expected
