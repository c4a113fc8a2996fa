"""The built-in losses by hand, and which of them suits which data."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  the name that the field uses

from bsmon.core.errors import BadInput
from bsmon.engine.tasks import losses
from bsmon.engine.tasks.task import Kind
from tests.unit.tasks.objective_cases import CLASSES, SCORES, Fixed, Name, built


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
