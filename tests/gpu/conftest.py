"""The GPU that a test runs on: a stand-in on every machine, and with `-m gpu` the real one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch

from tests.fake_cuda import fake_cuda
from tests.fake_cuda_stream import Event


@pytest.fixture(autouse=True)
def _there_is_one(request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("gpu") and not torch.cuda.is_available():
        pytest.skip("no CUDA device")


@pytest.fixture(
    params=[
        "stand-in cuda:0",
        "stand-in cuda:1",
        pytest.param("real cuda:0", marks=pytest.mark.gpu),
        pytest.param("real cuda:1", marks=pytest.mark.gpu),
    ]
)
def gpu(request: pytest.FixtureRequest, _there_is_one: None) -> Iterator[torch.device]:
    """The first and the second GPU: what works on one alone works by luck."""
    kind, _, name = request.param.partition(" ")
    device = torch.device(name)
    if kind == "stand-in":
        with fake_cuda(count=2):
            yield device
        return
    if device.index >= torch.cuda.device_count():
        pytest.skip("only one CUDA device")
    before = torch.cuda.current_device()
    yield device
    torch.cuda.set_device(before)


@contextmanager
def no_waits() -> Iterator[None]:
    """Nothing within waits for the GPU."""
    if issubclass(torch.cuda.Event, Event):
        before = Event.cuda.waits
        yield
        assert Event.cuda.waits == before
        return
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")
