"""Copies that make an update repeatable."""

from __future__ import annotations

import copy

import torch
from torch import nn

from bsmon.engine.keeper import StepKeeper


def test_step_counters_are_put_back_also_after_a_state_was_loaded() -> None:
    """As after undoing a change with its weights: the loaded counters are other tensors."""
    model = nn.Linear(2, 2)
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    keeper = StepKeeper(model, optimizer, None)
    for _ in range(2):
        keeper.keep()
        model(torch.ones(1, 2)).sum().backward()
        optimizer.step()
    optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    keeper.keep()
    counters = [entry["step"] for entry in optimizer.state.values()]
    for counter in counters:
        counter += 1  # a fused step that ran out of memory after it had counted
    keeper.restore_before_weights()
    assert [float(counter) for counter in counters] == [2.0, 2.0]
