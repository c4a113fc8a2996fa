"""The built-in models: shapes, normalisation, causality, and what does not go together."""

from __future__ import annotations

from typing import Any, Literal

import pytest
import torch
from torch import nn

from bsmon.config.schema import (
    CatsVsDogsData,
    CharTransformerModel,
    CnnModel,
    Config,
    DataSection,
    DigitsData,
    MlpModel,
    ModelSection,
    NamedLoss,
    TargetSection,
    TextData,
)
from bsmon.core.errors import BadInput
from bsmon.engine.tasks import models
from bsmon.engine.tasks.char_transformer import CharTransformer
from bsmon.engine.tasks.cnn import Cnn
from bsmon.engine.tasks.data import build_data
from bsmon.engine.tasks.mlp import Mlp
from bsmon.engine.tasks.models import build_model
from bsmon.engine.tasks.task import TaskData, TensorBatches

Norm = Literal["batch", "group", "layer", "none"]


def build(data: DataSection, model: ModelSection, loss: NamedLoss | None = None) -> nn.Module:
    config = Config(data=data, model=model, loss=loss or NamedLoss())
    return build_model(config, build_data(config))


def kinds(model: nn.Module) -> list[str]:
    return [type(module).__name__ for module in model.modules() if not list(module.children())]


def test_mlp_is_the_guidelines_network() -> None:
    model = build(CatsVsDogsData(), MlpModel(hidden=(100,)))
    shapes = {name: tuple(weight.shape) for name, weight in model.named_parameters()}
    assert shapes == {"fc1.weight": (100, 1000), "fc1.bias": (100,), "fc2.weight": (2, 100), "fc2.bias": (2,)}


def test_mlp_computes_what_the_guidelines_network_computes() -> None:
    model = build(CatsVsDogsData(features=7), MlpModel(hidden=(5,)))
    assert isinstance(model.fc1, nn.Linear)
    assert isinstance(model.fc2, nn.Linear)
    inputs = torch.randn(3, 7)
    torch.testing.assert_close(model(inputs), model.fc2(torch.relu(model.fc1(inputs))))


def test_mlp_without_hidden_layers_is_linear_and_images_are_flattened() -> None:
    model = Mlp((1, 8, 8), 10, MlpModel(hidden=()))
    assert model(torch.zeros(4, 1, 8, 8)).shape == (4, 10)
    assert kinds(model) == ["Flatten", "Linear"]


@pytest.mark.parametrize(("norm", "kind"), [("batch", "BatchNorm1d"), ("layer", "LayerNorm")])
def test_mlp_norm_and_dropout(norm: Literal["batch", "layer"], kind: str) -> None:
    model = Mlp((6,), 2, MlpModel(hidden=(4, 3), norm=norm, dropout=0.5))
    assert kinds(model) == ["Flatten", *["Linear", kind, "ReLU", "Dropout"] * 2, "Linear"]


@pytest.mark.parametrize(
    ("norm", "kind"), [("batch", "BatchNorm2d"), ("group", "GroupNorm"), ("layer", "GroupNorm"), ("none", None)]
)
def test_cnn_norms(norm: Norm, kind: str | None) -> None:
    model = Cnn(1, 10, CnnModel(norm=norm))
    found = [name for name in kinds(model) if "Norm" in name]
    assert found == ([] if kind is None else [kind] * 3)
    biases = [name for name, _ in model.named_parameters() if name.startswith("features") and "bias" in name]
    assert len(biases) == 3  # the normalisation's, or the convolution's own: never both


@pytest.mark.parametrize(("channels", "groups"), [(16, 8), (6, 6), (7, 7), (10, 5), (1, 1), (11, 1)])
def test_group_norm_divides_the_channels(channels: int, groups: int) -> None:
    model = Cnn(3, 2, CnnModel(channels=(channels,), norm="group"))
    assert [module.num_groups for module in model.modules() if isinstance(module, nn.GroupNorm)] == [groups]


@pytest.mark.parametrize("norm", ["group", "layer", "none"])
def test_only_batch_norm_mixes_the_samples_of_a_batch(norm: Norm) -> None:
    images = torch.randn(4, 1, 8, 8)
    for name, alike in ((norm, True), ("batch", False)):
        model = Cnn(1, 3, CnnModel(norm=name)).train()
        together = model(images)[:2]
        assert torch.allclose(together, model(images[:2]), atol=1e-5) is alike


@pytest.mark.parametrize("size", [(1, 8, 8), (3, 32, 20), (2, 1, 1), (1, 5, 9)])
@pytest.mark.parametrize("channels", [(4,), (4, 8, 8, 8)])
def test_cnn_takes_images_of_any_size(size: tuple[int, int, int], channels: tuple[int, ...]) -> None:
    assert Cnn(size[0], 5, CnnModel(channels=channels))(torch.randn(2, *size)).shape == (2, 5)


def test_each_convolution_but_the_first_halves_the_image() -> None:
    model = Cnn(1, 10, CnnModel())
    assert model.features(torch.zeros(2, 1, 8, 8)).shape == (2, 64, 2, 2)


def test_char_transformer_scores_every_position_and_sees_no_later_one() -> None:
    model = CharTransformer(11, 6, CharTransformerModel(width=8, heads=2, layers=2)).eval()
    tokens = torch.tensor([[1, 2, 3, 4, 5, 6]])
    changed = torch.tensor([[1, 2, 3, 9, 9, 9]])
    scores, other = model(tokens), model(changed)
    assert scores.shape == (1, 6, 11)
    torch.testing.assert_close(scores[:, :3], other[:, :3])
    assert not torch.allclose(scores[:, 3:], other[:, 3:])


def test_char_transformer_uses_the_order_of_the_characters() -> None:
    model = CharTransformer(11, 6, CharTransformerModel(width=8, heads=2, layers=1)).eval()
    scores = model(torch.tensor([[1, 2, 3], [2, 1, 3]]))
    assert not torch.allclose(scores[0, 2], scores[1, 2])


@torch.no_grad()
def test_char_transformer_starts_at_the_loss_of_guessing() -> None:
    torch.manual_seed(0)
    scores = CharTransformer(50, 16, CharTransformerModel())(torch.randint(50, (8, 16)))
    loss = nn.functional.cross_entropy(scores.flatten(0, 1), torch.randint(50, (128,)))
    assert float(loss) == pytest.approx(3.912, abs=0.05)  # ln 50


def test_dropout_of_the_char_transformer_is_off_in_eval() -> None:
    model = CharTransformer(11, 6, CharTransformerModel(dropout=0.5))
    tokens = torch.tensor([[1, 2, 3]])
    assert not torch.equal(model(tokens), model(tokens))
    model.eval()
    assert torch.equal(model(tokens), model(tokens))


def test_same_seed_same_weights() -> None:
    def weights(seed: int) -> list[torch.Tensor]:
        torch.manual_seed(seed)
        return list(build(DigitsData(), CnnModel()).parameters())

    assert all(torch.equal(a, b) for a, b in zip(weights(1), weights(1), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(weights(1), weights(2), strict=True))


def test_bce_on_two_classes_needs_one_output() -> None:
    model = build(CatsVsDogsData(), MlpModel(), NamedLoss(name="bce"))
    assert model(torch.zeros(2, 1000)).shape == (2, 1)


MISMATCHES: list[tuple[DataSection, ModelSection, str]] = [
    (CatsVsDogsData(), CnnModel(), r'"cnn" needs images .* cats-vs-dogs has samples of 1000 numbers; "mlp" fits'),
    (DigitsData(flat=True), CnnModel(), r'samples of 64 numbers; "mlp" fits, or set data.flat = false'),
    (TextData(), CnnModel(), r'"cnn" reads numbers, and text has tokens; "char-transformer" fits'),
    (TextData(), MlpModel(), r'"mlp" reads numbers, and text has tokens; "char-transformer" fits'),
    (DigitsData(), CharTransformerModel(), r'reads tokens, and digits has samples of 1 x 8 x 8; "cnn" or "mlp" fits'),
    (
        CatsVsDogsData(),
        CharTransformerModel(),
        r'reads tokens, and cats-vs-dogs has samples of 1000 numbers; "mlp" fits',
    ),
]


@pytest.mark.parametrize(("data", "model", "message"), MISMATCHES)
def test_data_and_model_that_do_not_go_together(data: DataSection, model: ModelSection, message: str) -> None:
    with pytest.raises(BadInput, match=r"^model.name: .*" + message):
        build(data, model)


def task(shape: tuple[int, ...] | None, outputs: int | None) -> TaskData:
    return TaskData(
        name="mine:data",
        train=TensorBatches(torch.zeros(1)),
        validation=None,
        kind="own",
        input_shape=shape,
        outputs=outputs,
        domain="other",
        description="",
    )


def test_cnn_says_how_to_store_grey_images() -> None:
    with pytest.raises(BadInput, match=r"samples of 28 x 28; .* store x as samples x 1 x 28 x 28"):
        build_model(Config(data=DigitsData(), model=CnnModel()), task((28, 28), 10))


@pytest.mark.parametrize(("shape", "outputs"), [(None, 2), ((3,), None)])
def test_a_built_in_model_needs_to_know_the_sizes(shape: tuple[int, ...] | None, outputs: int | None) -> None:
    with pytest.raises(BadInput, match=r'model.name: a built-in model cannot tell the sizes of "mine:data"'):
        build_model(Config(data=DigitsData(), model=MlpModel()), task(shape, outputs))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, r'"mine:net" returned None; it must return a torch.nn.Module'),
        (nn.Linear, r'"mine:net" returned the class Linear itself, not an instance'),
        (lambda x: x, r'"mine:net" returned a function'),
    ],
)
def test_a_target_that_returns_no_model(monkeypatch: pytest.MonkeyPatch, value: Any, message: str) -> None:
    monkeypatch.setattr(models, "call_target", lambda config, section, name: (value, "mine.py"))
    config = Config(data=DigitsData(), model=TargetSection(target="mine:net"))
    with pytest.raises(BadInput, match=message):
        build_model(config, task(None, None))


def test_a_model_of_ones_own() -> None:
    section = TargetSection(target="torch.nn:Linear", arguments={"in_features": 3, "out_features": 2})
    model = build_model(Config(data=DigitsData(), model=section), task(None, None))
    assert isinstance(model, nn.Linear)
    assert model.weight.shape == (2, 3)
