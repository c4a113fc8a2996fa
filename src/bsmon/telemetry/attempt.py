"""Readings that may fail: a value, or None."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import psutil

T = TypeVar("T")

FAILURES = (psutil.Error, OSError, RuntimeError, ValueError, LookupError, AttributeError, TypeError)
"""What psutil raises where /proc is unusual (gVisor, hidepid, old kernels); NotImplementedError is a RuntimeError."""


def attempt(call: Callable[[], T]) -> T | None:
    """The call's result, None where the system does not give it."""
    try:
        return call()
    except FAILURES:
        return None
