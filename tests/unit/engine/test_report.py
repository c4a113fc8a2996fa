"""Steps reach the observer in order, each once, with its own loss."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from hypothesis import given
from hypothesis import strategies as st

from bsmon.core.records import Step
from bsmon.engine.report import StepReporter


def step(number: int) -> Step:
    return Step(number, 1, number, 1, 1, 0.1, None, 0.0, 0.0, 0.0)


@given(losses=st.lists(st.floats(width=32), max_size=600), finished=st.sets(st.integers(0, 600)))
def test_every_step_is_reported_once_in_order_with_its_loss(losses: list[float], finished: set[int]) -> None:
    seen: list[Step] = []

    def report(steps: Sequence[Step]) -> None:
        assert steps
        seen.extend(steps)

    reporter = StepReporter(report)
    for number, loss in enumerate(losses):
        reporter.add(step(number), torch.tensor(loss))
        if number in finished:
            reporter.finish()
            assert len(seen) == number + 1
    reporter.finish()
    assert [record.step for record in seen] == list(range(len(losses)))
    got = [record.loss for record in seen]
    assert [repr(loss) for loss in got] == [repr(loss) for loss in losses]


def test_a_loss_in_half_precision_is_read_as_it_is() -> None:
    seen: list[Step] = []
    reporter = StepReporter(seen.extend)
    reporter.add(step(1), torch.tensor(0.5, dtype=torch.bfloat16))
    reporter.finish()
    assert [record.loss for record in seen] == [0.5]
