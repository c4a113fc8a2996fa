"""Losses and accuracies, in every form of batch and output that is taken; and what is refused."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any, Literal

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  the name that the field uses

from bsmon.config.schema import Config, DataTarget, DigitsData, MlpModel, NamedLoss, TargetSection
from bsmon.core.errors import BadInput
from bsmon.engine.tasks import losses, objective
from bsmon.engine.tasks.objective import Objective, build_objective
from bsmon.engine.tasks.task import Kind, TaskData, TensorBatches

Name = Literal["auto", "cross-entropy", "mse", "l1", "bce", "model"]


def task(kind: Kind = "own", outputs: int | None = None) -> TaskData:
    return TaskData(
        name="mine",
        train=TensorBatches(torch.zeros(1)),
        validation=None,
        kind=kind,
        input_shape=(1,),
        outputs=outputs,
        domain="other",
        description="",
    )


def built(name: Name, kind: Kind = "own", outputs: int | None = None, smoothing: float = 0.0) -> Objective:
    own = kind == "own"
    data = DataTarget(target="mine:data") if own else DigitsData()
    loss = NamedLoss(name=name, label_smoothing=smoothing)
    return build_objective(Config(data=data, model=MlpModel(), loss=loss), task(kind, outputs))


class Fixed(nn.Module):
    """Gives the same output whatever it is called with, and remembers that."""

    def __init__(self, output: Any) -> None:
        super().__init__()
        self.output = output
        self.called: Any = None

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        self.called = (args, kwargs)
        return self.output


SCORES = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
CLASSES = torch.tensor([0, 2, 1, 2])


def test_cross_entropy_by_hand() -> None:
    scores = torch.tensor([[2.0, 0.0], [0.0, 0.0]])
    loss = losses.cross_entropy(scores, torch.tensor([0, 1]))
    assert float(loss) == pytest.approx((math.log(1 + math.exp(-2)) + math.log(2)) / 2)


def test_cross_entropy_of_tokens_is_the_mean_over_positions() -> None:
    scores, targets = torch.randn(2, 5, 7), torch.randint(7, (2, 5))
    by_hand = torch.stack([F.cross_entropy(scores[i, j], targets[i, j]) for i in range(2) for j in range(5)]).mean()
    torch.testing.assert_close(losses.cross_entropy(scores, targets), by_hand)


def test_cross_entropy_of_images_has_the_classes_second() -> None:
    scores, targets = torch.randn(2, 3, 4, 5), torch.randint(3, (2, 4, 5))
    torch.testing.assert_close(losses.cross_entropy(scores, targets), F.cross_entropy(scores, targets))


def test_cross_entropy_takes_probabilities_and_small_integers() -> None:
    one_hot = F.one_hot(CLASSES, 3).float()
    torch.testing.assert_close(losses.cross_entropy(SCORES, one_hot), losses.cross_entropy(SCORES, CLASSES))
    torch.testing.assert_close(losses.cross_entropy(SCORES, CLASSES.int()), losses.cross_entropy(SCORES, CLASSES))


@pytest.mark.parametrize("loss", [losses.mse, losses.l1, losses.bce])
@pytest.mark.parametrize(("output", "targets"), [((4, 1), (4,)), ((4,), (4, 1)), ((4,), (4,)), ((4, 2), (4, 2))])
def test_real_losses_compare_each_output_with_its_own_target(
    loss: Any, output: tuple[int, ...], targets: tuple[int, ...]
) -> None:
    """(4, 1) against (4,) must not become 4 x 4 comparisons, as broadcasting would have it."""
    values, wanted = torch.rand(output), torch.rand(targets)
    torch.testing.assert_close(loss(values, wanted), loss(values.flatten(), wanted.flatten()))


@given(st.lists(st.tuples(st.floats(-10, 10), st.integers(-5, 5)), min_size=1, max_size=8))
def test_mse_and_l1_by_hand(pairs: list[tuple[float, int]]) -> None:
    output = torch.tensor([pair[0] for pair in pairs], dtype=torch.float64)
    targets = torch.tensor([pair[1] for pair in pairs])
    squares = [(a - b) ** 2 for a, b in pairs]
    distances = [abs(a - b) for a, b in pairs]
    assert float(losses.mse(output, targets)) == pytest.approx(sum(squares) / len(pairs))
    assert float(losses.l1(output, targets)) == pytest.approx(sum(distances) / len(pairs))


@pytest.mark.parametrize(
    ("loss", "output", "targets", "message"),
    [
        (
            "cross-entropy",
            (4, 3),
            torch.zeros(5).long(),
            r"cross-entropy needs .* shape \(4, 3\).* whole numbers of \(5,\)",
        ),
        ("cross-entropy", (4,), torch.zeros(4).long(), r"cross-entropy needs a score for every class"),
        ("mse", (4, 3), torch.zeros(4), r"the loss needs an output for every target: .* real numbers of \(4,\)"),
        ("bce", (4, 2), torch.zeros(4).long(), r"the loss needs an output for every target"),
        ("auto", (4, 3), torch.zeros(4), r"the loss needs an output for every target"),
    ],
)
def test_shapes_that_do_not_fit(loss: Name, output: tuple[int, ...], targets: Tensor, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        built(loss)(Fixed(torch.zeros(output)), (torch.zeros(4), targets))


def test_auto_on_own_data_goes_by_the_targets() -> None:
    loss, _ = built("auto")(Fixed(SCORES), (torch.zeros(4), CLASSES))
    torch.testing.assert_close(loss, F.cross_entropy(SCORES, CLASSES))
    loss, _ = built("auto")(Fixed(SCORES), (torch.zeros(4), torch.ones(4, 3)))
    torch.testing.assert_close(loss, F.mse_loss(SCORES, torch.ones(4, 3)))


def test_label_smoothing() -> None:
    loss, _ = built("auto", "classes", 3, smoothing=0.1)(Fixed(SCORES), (torch.zeros(4), CLASSES))
    torch.testing.assert_close(loss, F.cross_entropy(SCORES, CLASSES, label_smoothing=0.1))


@pytest.mark.parametrize(
    ("name", "kind", "outputs", "chosen"),
    [
        ("auto", "classes", 3, "cross-entropy"),
        ("auto", "tokens", 9, "cross-entropy"),
        ("auto", "numbers", 1, "mse"),
        ("l1", "numbers", 1, "l1"),
        ("bce", "numbers", 1, "bce"),
        ("bce", "classes", 2, "bce"),
        ("model", "classes", 3, "model"),
        ("mse", "own", None, "mse"),
    ],
)
def test_which_loss(name: Name, kind: Kind, outputs: int | None, chosen: str) -> None:
    assert built(name, kind, outputs).name == chosen


@pytest.mark.parametrize(
    ("name", "kind", "outputs", "message"),
    [
        ("mse", "classes", 3, r'"mse" does not suit mine, whose targets are 3 classes; "cross-entropy" does'),
        ("bce", "classes", 3, r'"bce" does not suit mine, whose targets are 3 classes'),
        ("l1", "tokens", 9, r'"l1" does not suit mine, whose targets are tokens'),
        (
            "cross-entropy",
            "numbers",
            1,
            r'"cross-entropy" does not suit mine, whose targets are real numbers; "mse" does',
        ),
    ],
)
def test_losses_that_do_not_suit_the_data(name: Name, kind: Kind, outputs: int, message: str) -> None:
    with pytest.raises(BadInput, match="loss.name: " + message):
        built(name, kind, outputs)


def test_label_smoothing_is_for_cross_entropy_only() -> None:
    with pytest.raises(
        BadInput, match=r'loss\.label_smoothing: only "cross-entropy" smooths labels, the loss is "mse"'
    ):
        built("auto", "numbers", 1, smoothing=0.1)


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
