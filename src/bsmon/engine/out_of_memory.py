"""Telling "out of memory" from other errors, and giving memory back."""

from __future__ import annotations

import gc

import torch

_ALWAYS = (
    "CUDA error: out of memory",  # arrives as RuntimeError or torch.AcceleratorError
    "CUBLAS_STATUS_ALLOC_FAILED",  # cuBLAS could not make its workspace
    "DefaultCPUAllocator: ",  # a plain RuntimeError on the CPU
)
_WHILE_PROBING = "CUDNN_STATUS_NOT_SUPPORTED"  # what cuDNN says when no algorithm's workspace fits


def is_out_of_memory(error: BaseException, probing: bool = False) -> bool:
    """Whether `error` means that memory ran out, on the device or on the host.

    `probing`: a size is being tried out; cuDNN's "not supported" then means that it found no room.
    """
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    if not isinstance(error, RuntimeError):
        return False
    message = str(error)
    return any(sign in message for sign in _ALWAYS) or (probing and _WHILE_PROBING in message)


def release() -> bool:
    """Give unused memory back: collect garbage, empty the device allocator's cache.

    Call it outside `except`: the traceback keeps the tensors of the failed step alive. Returns whether the device
    answered; after some faults it does not any more, and that must not hide the first error.
    """
    gc.collect()
    if not (torch.cuda.is_available() and torch.cuda.is_initialized()):
        return True
    try:
        torch.cuda.empty_cache()
    except RuntimeError:
        return False
    return True
