"""A snapshot of a state is its own: training goes on, the copy stays."""

from __future__ import annotations

from collections import OrderedDict

import torch

from bsmon.engine.plain_state import find_unplain, snapshot_state


def test_the_copy_does_not_follow_the_training() -> None:
    weight = torch.zeros(3)
    copied = snapshot_state({"w": weight, "list": [weight], "tuple": (weight, 1)})
    weight.add_(1)
    assert isinstance(copied, dict)
    for tensor in (copied["w"], copied["list"][0], copied["tuple"][0]):
        assert tensor.tolist() == [0, 0, 0]


def test_parameters_become_plain_tensors() -> None:
    copied = snapshot_state([torch.nn.Parameter(torch.zeros(1))])
    assert find_unplain(copied) is None
    assert isinstance(copied, list)
    assert not copied[0].requires_grad


def test_tied_weights_stay_one() -> None:
    weight = torch.arange(6.0)
    copied = snapshot_state({"in": weight, "out": weight, "other": weight[:3]})
    assert isinstance(copied, dict)
    assert copied["in"] is copied["out"]
    assert copied["other"] is not copied["in"]


def test_a_view_is_copied_without_the_rest() -> None:
    copied = snapshot_state(torch.zeros(1_000_000)[:10])
    assert isinstance(copied, torch.Tensor)
    assert copied.untyped_storage().nbytes() == 40


def test_a_state_dict_keeps_its_version_notes_and_order() -> None:
    state = torch.nn.BatchNorm1d(2).state_dict()
    copied = snapshot_state(state)
    assert type(copied) is OrderedDict
    assert list(copied) == list(state)
    assert getattr(copied, "_metadata", None) == getattr(state, "_metadata", "none")


def test_layout_and_empty_tensors_survive() -> None:
    image = torch.randn(2, 3, 4, 4).to(memory_format=torch.channels_last)
    copied = snapshot_state([image, torch.empty(0, 3)])
    assert isinstance(copied, list)
    assert copied[0].stride() == image.stride()
    assert torch.equal(copied[0], image)
    assert copied[1].shape == (0, 3)
