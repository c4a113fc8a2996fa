"""For all tests of the engine."""

from __future__ import annotations

import gc

import pytest


@pytest.fixture(autouse=True, scope="package")
def quick_garbage_collection() -> None:
    """Recovering from a lack of memory collects garbage; what torch made at import would take most of the time."""
    gc.collect()
    gc.freeze()
