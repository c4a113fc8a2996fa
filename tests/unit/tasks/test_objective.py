"""Objectives: every form of batch and output that is taken, accuracies; and what is refused."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  the name that the field uses

from bsmon.config.schema import Config, DigitsData, MlpModel, TargetSection
from bsmon.core.errors import BadInput
from bsmon.engine.tasks import objective
from bsmon.engine.tasks.objective import Objective, build_objective
from tests.unit.tasks.objective_cases import CLASSES, SCORES, Fixed, Name, built, task


@pytest.mark.parametrize("output", [SCORES, {"logits": SCORES}, SimpleNamespace(logits=SCORES)])
@pytest.mark.parametrize("key", ["labels", "label", "targets", "target", "y"])
def test_dict_batches_go_in_as_keyword_arguments(output: Any, key: str) -> None:
    model = Fixed(output)
    batch = {"ids": torch.ones(4), "mask": torch.zeros(4), key: CLASSES}
    loss, given_back = built("cross-entropy")(model, batch)
    torch.testing.assert_close(loss, F.cross_entropy(SCORES, CLASSES))
    assert given_back is output
    assert model.called == ((), {"ids": batch["ids"], "mask": batch["mask"]})
    assert built("cross-entropy").correct(output, batch) is not None


def test_a_dict_of_inputs_beside_the_targets() -> None:
    model = Fixed(SCORES)
    inputs = {"ids": torch.ones(4)}
    built("cross-entropy")(model, [inputs, CLASSES])
    assert model.called == ((), inputs)


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        (torch.zeros(4), r"a batch is a Tensor; each sample must be a pair"),
        ((torch.zeros(4),), r"a batch is a tuple of 1; each sample must be a pair"),
        ({"ids": torch.zeros(4)}, r"a batch is a dict of ids: none of labels, label, targets, target, y"),
    ],
)
def test_batches_without_targets(batch: Any, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        built("cross-entropy")(Fixed(SCORES), batch)


def test_an_output_without_scores() -> None:
    with pytest.raises(
        BadInput, match="the model's output is a tuple; a built-in loss needs a tensor, or logits in it"
    ):
        built("cross-entropy")(Fixed((SCORES,)), (torch.zeros(4), CLASSES))


LOSS = torch.tensor(2.5)


@pytest.mark.parametrize("output", [LOSS, LOSS.reshape(1), {"loss": LOSS}, SimpleNamespace(loss=LOSS, logits=SCORES)])
def test_the_model_computes_its_own_loss(output: Any) -> None:
    model = Fixed(output)
    batch = {"ids": torch.ones(4), "labels": CLASSES}
    loss, given_back = built("model")(model, batch)
    assert loss.shape == ()
    assert float(loss) == 2.5
    assert given_back is output
    assert model.called == ((), batch)
    assert built("model").correct(output, batch) is None


def test_the_model_takes_pairs_and_single_tensors_too() -> None:
    model, inputs = Fixed(LOSS), torch.ones(4)
    built("model")(model, (inputs, CLASSES))
    assert model.called == ((inputs, CLASSES), {})
    built("model")(model, inputs)
    assert model.called[0] == (inputs,)


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (SCORES, r"must be one number in a tensor, the mean over the batch; it is a tensor of shape \(4, 3\)"),
        ({"logits": SCORES}, r"it is NoneType"),
        ({"loss": 2.5}, r"it is float"),
        (torch.tensor(2), r"it is a tensor of shape \(\)"),
    ],
)
def test_a_model_without_a_loss(output: Any, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        built("model")(Fixed(output), torch.ones(4))


def own_loss(monkeypatch: pytest.MonkeyPatch, value: Any) -> Objective:
    monkeypatch.setattr(objective, "call_target", lambda config, section, name: (value, "mine.py"))
    config = Config(data=DigitsData(), model=MlpModel(), loss=TargetSection(target="mine:loss"))
    return build_objective(config, task())


def test_a_loss_of_ones_own_gets_the_raw_output_and_the_targets(monkeypatch: pytest.MonkeyPatch) -> None:
    output = (SCORES, "more")
    seen: list[Any] = []

    def loss(given: Any, targets: Any) -> Tensor:
        seen.append((given, targets))
        return LOSS

    result, _ = own_loss(monkeypatch, loss)(Fixed(output), (torch.zeros(4), CLASSES))
    assert result is not None
    assert seen == [(output, CLASSES)]


def test_a_loss_module_goes_to_the_models_device(monkeypatch: pytest.MonkeyPatch) -> None:
    loss = nn.CrossEntropyLoss(weight=torch.ones(3))
    model = nn.Linear(2, 3, device="meta")
    result, _ = own_loss(monkeypatch, loss)(
        model, (torch.zeros(4, 2, device="meta"), torch.zeros(4, dtype=torch.long, device="meta"))
    )
    assert result.device.type == "meta"
    assert loss.weight is not None
    assert loss.weight.device.type == "meta"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, r'"mine:loss" returned None; it must return a function of \(output, targets\)'),
        (LOSS, r'"mine:loss" returned a Tensor'),
        (nn.MSELoss, r'"mine:loss" returned the class MSELoss itself, not an instance'),
    ],
)
def test_a_target_that_returns_no_loss(monkeypatch: pytest.MonkeyPatch, value: Any, message: str) -> None:
    with pytest.raises(BadInput, match="loss.target: " + message):
        own_loss(monkeypatch, value)


def test_a_loss_that_is_no_single_number(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadInput, match=r'the loss "mine:loss" must be one number in a tensor.* shape \(4,\)'):
        own_loss(monkeypatch, nn.CrossEntropyLoss(reduction="none"))(Fixed(SCORES), (torch.zeros(4), CLASSES))


SURE = torch.tensor([[9.0, 0.0, 0.0], [0.0, 0.0, 9.0], [0.0, 9.0, 0.0], [9.0, 0.0, 0.0]])


@pytest.mark.parametrize(
    ("scores", "targets", "expected"),
    [
        (SURE, CLASSES, (3, 4)),
        (SURE.reshape(2, 2, 3), CLASSES.reshape(2, 2), (3, 4)),
        (SURE.reshape(2, 2, 3), torch.tensor([[0, -100], [1, -100]]), (2, 2)),
        (SURE.reshape(1, 4, 3).movedim(2, 1), CLASSES.reshape(1, 4), (3, 4)),
    ],
)
def test_accuracy_of_classes(scores: Tensor, targets: Tensor, expected: tuple[int, int]) -> None:
    right = built("cross-entropy").correct(scores, (torch.zeros(4), targets))
    assert right is not None
    assert (int(right[0]), right[1]) == expected


def test_accuracy_of_yes_and_no() -> None:
    right = built("bce").correct(torch.tensor([[2.0], [-1.0], [3.0]]), (torch.zeros(3), torch.tensor([1, 0, 0])))
    assert right is not None
    assert (int(right[0]), right[1]) == (2, 3)


@pytest.mark.parametrize("name", ["mse", "l1"])
def test_real_numbers_have_no_accuracy(name: Name) -> None:
    assert built(name).correct(SCORES, (torch.zeros(4), torch.zeros(4, 3))) is None


def test_accuracy_of_a_loss_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    loss = own_loss(monkeypatch, nn.CrossEntropyLoss())
    right = loss.correct(SURE, (torch.zeros(4), CLASSES))
    assert right is not None
    assert int(right[0]) == 3
    assert loss.correct(SURE, (torch.zeros(4), torch.zeros(4))) is None
    assert loss.correct((SURE,), (torch.zeros(4), CLASSES)) is None
