"""Results arrive in order, are never waited for, and only so many are kept."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from bsmon.telemetry.readback import Readback

CPU = torch.device("cpu")


class FakeSlot:
    """A slot whose copy arrives when the test says so; `read` before that is an error, as on a GPU."""

    arrived: set[float] = set()  # noqa: RUF012  # shared on purpose: the test's stand-in for the device

    def __init__(self) -> None:
        self.values: list[float] = []

    def store(self, values: Tensor) -> None:
        self.values = values.tolist()

    def is_ready(self) -> bool:
        return self.values[0] in self.arrived

    def read(self) -> list[float]:
        assert self.is_ready(), "waited for the device"
        return self.values


@pytest.fixture
def slow() -> Readback[str]:
    FakeSlot.arrived = set()
    return Readback(CPU, slots=3, slot_type=FakeSlot)


def test_a_cpu_result_is_there_at_once() -> None:
    readback: Readback[str] = Readback(CPU)
    readback.put("a", torch.tensor([1.0, 2.0]))
    assert list(readback.ready()) == [("a", [1.0, 2.0])]
    assert list(readback.ready()) == []


def test_nothing_is_read_before_it_arrived(slow: Readback[str]) -> None:
    slow.put("a", torch.tensor([1.0]))
    slow.put("b", torch.tensor([2.0]))
    assert list(slow.ready()) == []
    FakeSlot.arrived = {1.0}
    assert [tag for tag, _ in slow.ready()] == ["a"]
    FakeSlot.arrived = {1.0, 2.0}
    assert [tag for tag, _ in slow.ready()] == ["b"]
    assert slow.dropped == 0


def test_the_oldest_unread_result_makes_room(slow: Readback[str]) -> None:
    for number in range(5):
        slow.put(str(number), torch.tensor([float(number)]))
    assert (slow.dropped, len(slow)) == (2, 3)
    FakeSlot.arrived = {0.0, 1.0, 2.0, 3.0, 4.0}
    assert [tag for tag, _ in slow.ready()] == ["2", "3", "4"]


def test_results_of_any_length_share_the_slots(slow: Readback[str]) -> None:
    FakeSlot.arrived = {7.0}
    for length in (1, 5, 2, 400, 3, 1):
        slow.put("x", torch.full((length,), 7.0))
        assert [len(values) for _, values in slow.ready()] == [length]
