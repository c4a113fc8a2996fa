"""For all tests of ranks."""

from tests.unit.engine.conftest import quick_garbage_collection

__all__ = ["quick_garbage_collection"]
