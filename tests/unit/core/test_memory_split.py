"""Who holds a GPU's memory."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bsmon.core.memory_split import MemorySplit, memory_split
from bsmon.core.records import GpuSample, TorchMemory

GPU = GpuSample(
    index=0,
    uuid="GPU-0",
    name="one",
    memory_total_bytes=100,
    memory_used_bytes=60,
    memory_free_bytes=35,
    memory_reserved_bytes=5,
    own_process_bytes=40,
)
TORCH = TorchMemory(allocated_bytes=20, reserved_bytes=30, peak_bytes=25)


def test_every_byte_has_a_holder() -> None:
    assert memory_split(GPU, TORCH) == MemorySplit(
        total=100, tensors=20, cached=10, context=10, others=20, system=5, free=35
    )


def test_without_process_ids_the_context_is_not_told_apart() -> None:
    split = memory_split(replace(GPU, own_process_bytes=None), TORCH)
    assert split is not None
    assert (split.context, split.others) == (None, 30)


@pytest.mark.parametrize(
    ("gpu", "torch"),
    [
        (replace(GPU, memory_total_bytes=None), TORCH),
        (replace(GPU, memory_free_bytes=None), TORCH),
        (GPU, None),
    ],
)
def test_what_is_unknown_is_not_split(gpu: GpuSample, torch: TorchMemory | None) -> None:
    assert memory_split(gpu, torch) is None


BYTES = st.integers(0, 200)


@given(free=st.integers(0, 100), system=st.none() | BYTES, own=st.none() | BYTES, allocated=BYTES, reserved=BYTES)
def test_the_parts_add_up_even_when_read_moments_apart(
    free: int, system: int | None, own: int | None, allocated: int, reserved: int
) -> None:
    gpu = replace(GPU, memory_free_bytes=free, memory_reserved_bytes=system, own_process_bytes=own)
    split = memory_split(gpu, TorchMemory(allocated_bytes=allocated, reserved_bytes=reserved, peak_bytes=None))
    assert split is not None
    parts = [split.tensors, split.cached, split.context or 0, split.others, split.system, split.free]
    assert sum(parts) == split.total == 100
    assert min(parts) >= 0
