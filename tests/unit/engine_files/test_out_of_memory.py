"""What counts as out of memory, and what must not."""

from __future__ import annotations

import pytest
import torch

from bsmon.engine.out_of_memory import is_out_of_memory, release

CPU = (
    "[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate 9"
)


@pytest.mark.parametrize(
    ("error", "while_training", "while_probing"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), True, True),
        (RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be reported later"), True, True),
        (torch.AcceleratorError("CUDA error: out of memory"), True, True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True, True),
        (RuntimeError(CPU), True, True),
        (MemoryError(), True, True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_NOT_SUPPORTED."), False, True),
        (RuntimeError("CUDA error: device-side assert triggered"), False, False),
        (torch.AcceleratorError("CUDA error: an illegal memory access was encountered"), False, False),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False, False),
        (ValueError("CUDA error: out of memory"), False, False),
        (KeyboardInterrupt(), False, False),
    ],
)
def test_what_counts(error: BaseException, while_training: bool, while_probing: bool) -> None:
    assert is_out_of_memory(error) is while_training
    assert is_out_of_memory(error, probing=True) is while_probing


def test_a_real_allocation_that_cannot_be_met_counts() -> None:
    with pytest.raises(RuntimeError) as raised:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_out_of_memory(raised.value)


def test_release_without_a_gpu_is_harmless() -> None:
    assert release() is True


def test_release_survives_a_device_that_no_longer_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise torch.AcceleratorError("CUDA error: unspecified launch failure")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "empty_cache", broken)
    assert release() is False
