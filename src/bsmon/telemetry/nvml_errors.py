"""NVML's errors as sentences, and cells: a value, or None with the reason."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import pynvml

from bsmon.core.text import clean

T = TypeVar("T")

LOST = frozenset({pynvml.NVML_ERROR_GPU_IS_LOST, pynvml.NVML_ERROR_RESET_REQUIRED})
"""Codes after which a GPU answers again only once NVML was initialised anew."""

_LONGEST_TEXT = 128

# nvmlErrorString is not asked: it is a call into the very library that just failed.
_SENTENCES = {
    pynvml.NVML_ERROR_UNINITIALIZED: "NVML is not initialised",
    pynvml.NVML_ERROR_INVALID_ARGUMENT: "NVML did not accept the question",
    pynvml.NVML_ERROR_NOT_SUPPORTED: "not supported by this GPU or its driver",
    pynvml.NVML_ERROR_NO_PERMISSION: "no permission",
    pynvml.NVML_ERROR_NOT_FOUND: "not found",
    pynvml.NVML_ERROR_DRIVER_NOT_LOADED: "the NVIDIA driver is not loaded",
    pynvml.NVML_ERROR_TIMEOUT: "the driver took too long",
    pynvml.NVML_ERROR_LIBRARY_NOT_FOUND: "no NVIDIA driver found: libnvidia-ml.so.1 is not installed",
    pynvml.NVML_ERROR_FUNCTION_NOT_FOUND: "the driver is too old for this reading",
    pynvml.NVML_ERROR_GPU_IS_LOST: "the GPU is lost: it fell off the bus",
    pynvml.NVML_ERROR_RESET_REQUIRED: "the GPU needs a reset",
    pynvml.NVML_ERROR_OPERATING_SYSTEM: "the operating system refused",
    pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH: (
        "the NVIDIA library and the loaded driver are of different versions: restart the machine or reload the driver"
    ),
    pynvml.NVML_ERROR_ARGUMENT_VERSION_MISMATCH: "the driver is too old for this reading",
    pynvml.NVML_ERROR_UNKNOWN: "the driver reports an unknown error",
}


class Implausible(ValueError):
    """NVML gave a value that cannot be true; the message says which."""


FAILURES = (
    pynvml.NVMLError,
    pynvml.NVMLLibraryMismatchError,  # no subclass of NVMLError
    UnicodeDecodeError,
    AttributeError,  # an older nvidia-ml-py lacks the function
    Implausible,
)


def code_of(error: Exception) -> int | None:
    """The nvmlReturn_t behind an exception, None where it has none."""
    value = getattr(error, "value", None)
    return value if isinstance(value, int) else None


def sentence(error: Exception) -> str:
    """Why a reading failed, in a few words."""
    code = code_of(error)
    if code is not None:
        return _SENTENCES.get(code, f"NVML error {code}")
    if isinstance(error, Implausible):
        return str(error)
    if isinstance(error, UnicodeDecodeError):
        return "the driver gave unreadable text"
    return "the driver or the nvidia-ml-py package is too old for this reading"


def first_that_answers(*calls: Callable[[], T]) -> T:
    """The first call's result, or the next one's where that fails: newest struct version first.

    Raises what the last call raises.
    """
    for call in calls[:-1]:
        try:
            return call()
        except FAILURES as error:
            if code_of(error) in LOST:
                raise
    return calls[-1]()


def text_from(call: Callable[[], object]) -> str:
    """A name from the driver, whatever its bytes, made safe for a terminal. Raises what the call raises."""
    try:
        raw = call()
    except UnicodeDecodeError as error:
        raw = error.object  # pynvml decodes strictly; the exception still holds the bytes
    text = raw.decode("utf-8", "replace") if isinstance(raw, bytes) else str(raw)
    return clean(text)[:_LONGEST_TEXT]


def percent(value: int) -> float:
    """0..100, or raise Implausible: drivers of virtual GPUs give -1 as an unsigned number."""
    if not 0 <= value <= 100:
        raise Implausible(f"the driver reported {value} %")
    return float(value)


class Cells:
    """Readings of one GPU; each that fails leaves None and a reason under its name."""

    def __init__(self) -> None:
        self.reasons: dict[str, str] = {}
        self.lost = False

    def read(self, name: str, call: Callable[[], T]) -> T | None:
        """The call's result, or None and the reason."""
        try:
            return call()
        except FAILURES as error:
            self.lost = self.lost or code_of(error) in LOST
            self.reasons[name] = sentence(error)
            return None
