"""Optimizers by name, with their arguments held against the class."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from bsmon.config.schema import Config, DigitsData, MlpModel, Optimizer
from bsmon.core.errors import BadInput
from bsmon.engine.tasks.optimizers import build_optimizer


def build(name: str, lr: float = 0.01, **arguments: Any) -> torch.optim.Optimizer:
    section = Optimizer(name=name, lr=lr, arguments=arguments)
    config = Config(data=DigitsData(), model=MlpModel(), optimizer=section, path="run.toml")
    return build_optimizer(config, nn.Linear(4, 3, bias=False).parameters())


DRIVABLE = sorted(
    name
    for name, kind in vars(torch.optim).items()
    if isinstance(kind, type) and issubclass(kind, torch.optim.Optimizer) and name not in ("Optimizer", "LBFGS")
)


@pytest.mark.parametrize("name", DRIVABLE)
def test_every_class_of_torch_optim_is_built_with_the_learning_rate(name: str) -> None:
    optimizer = build(name, lr=0.003)
    assert type(optimizer).__name__ == name
    assert optimizer.param_groups[0]["lr"] == 0.003


def test_arguments_arrive_and_lists_become_tuples() -> None:
    group = build("AdamW", betas=[0.8, 0.99], weight_decay=1, amsgrad=True).param_groups[0]
    assert (group["betas"], group["weight_decay"], group["amsgrad"]) == ((0.8, 0.99), 1, True)


@pytest.mark.parametrize(
    ("name", "arguments", "fused"),
    [
        ("AdamW", {}, True),
        ("SGD", {"momentum": 0.9}, True),
        ("AdamW", {"fused": False}, False),
        ("AdamW", {"foreach": True}, None),
        ("AdamW", {"differentiable": True}, None),
    ],
)
def test_fused_unless_the_person_says_otherwise(name: str, arguments: dict[str, Any], fused: bool | None) -> None:
    assert build(name, **arguments).param_groups[0]["fused"] is fused


@pytest.mark.parametrize(("name", "foreach"), [("RMSprop", True), ("Adadelta", True), ("AdamW", None)])
def test_on_cuda_a_forecast_steps_as_the_training_does(name: str, foreach: bool | None) -> None:
    config = Config(data=DigitsData(), model=MlpModel(), optimizer=Optimizer(name=name))
    with FakeTensorMode():
        fake = [torch.empty(4, device="cuda", requires_grad=True)]
        assert build_optimizer(config, fake).param_groups[0]["foreach"] is foreach
        assert build_optimizer(config, [torch.empty(4, requires_grad=True)]).param_groups[0]["foreach"] is None


def test_weights_that_have_no_fused_implementation_get_the_plain_one() -> None:
    weights = nn.Linear(2, 2, dtype=torch.complex64).parameters()
    optimizer = build_optimizer(Config(data=DigitsData(), model=MlpModel()), weights)
    assert not optimizer.param_groups[0]["fused"]
    for weight in optimizer.param_groups[0]["params"]:
        weight.grad = torch.ones_like(weight)
    optimizer.step()


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_fused_and_plain_make_the_same_step(momentum: float) -> None:
    after = []
    for fused in (True, False):
        weight = nn.Parameter(torch.linspace(-1, 1, 8))
        section = Optimizer(name="SGD", lr=0.1, arguments={"momentum": momentum, "fused": fused})
        optimizer = build_optimizer(Config(data=DigitsData(), model=MlpModel(), optimizer=section), [weight])
        for _ in range(3):
            weight.grad = weight.detach() ** 2
            optimizer.step()
        after.append(weight.detach().clone())
    torch.testing.assert_close(after[0], after[1])


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("AdmaW", {}, r'optimizer.name: torch.optim has no "AdmaW"; did you mean "AdamW"\?'),
        ("adam", {}, r'optimizer.name: torch.optim has no "adam"; did you mean "Adam"\?'),
        ("Lion", {}, r'optimizer.name: torch.optim has no "Lion"; '),
        ("Optimizer", {}, r'optimizer.name: torch.optim has no "Optimizer"'),
        ("lr_scheduler", {}, r'optimizer.name: torch.optim has no "lr_scheduler"'),
        ("LBFGS", {}, r'"LBFGS" evaluates the loss several times in one update, which bsmon does not do'),
        (
            "AdamW",
            {"weight_decy": 0.1},
            r'optimizer.weight_decy: .*AdamW takes no such argument; did you mean "weight_decay"',
        ),
        ("AdamW", {"lrr": 0.1}, r'optimizer.lrr: .*AdamW takes no such argument; did you mean "lr"'),
        ("SGD", {"betas": [0.9, 0.9]}, r"optimizer.betas: torch.optim.SGD takes no such argument"),
        ("AdamW", {"params": []}, r"optimizer.params: torch.optim.AdamW takes no such argument"),
        ("AdamW", {"weight_decay": "0.1"}, r'optimizer.weight_decay: expected a number, got "0.1" \(text\)'),
        ("SGD", {"momentum": True}, r"optimizer.momentum: expected a number, got true "),
        ("SGD", {"nesterov": 1}, r"optimizer.nesterov: expected true or false, got 1 "),
        ("AdamW", {"betas": 0.9}, r"optimizer.betas: expected a list of 2 numbers, got 0.9 "),
        ("AdamW", {"betas": [0.9]}, r"optimizer.betas: expected a list of 2 numbers, got \[0.9\] "),
        ("AdamW", {"betas": [0.9, "x"]}, r"optimizer.betas: expected a list of 2 numbers"),
        (
            "AdamW",
            {"betas": [0.9, 1.5]},
            r"AdamW refuses lr = 0.01, betas = \[0.9, 1.5\]: Invalid beta parameter at index 1",
        ),
        ("SGD", {"momentum": -1}, r"SGD refuses lr = 0.01, momentum = -1: Invalid momentum value"),
        ("SGD", {"nesterov": True}, r"SGD refuses .*: Nesterov momentum requires a momentum"),
        ("AdamW", {"fused": True, "foreach": True}, r"AdamW refuses .*fused.*foreach"),
    ],
)
def test_bad_input(name: str, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match="(?s)" + message) as raised:
        build(name, **arguments)
    assert str(raised.value).startswith("run.toml: optimizer")


def test_torchs_reason_for_weights_that_do_not_suit() -> None:
    section = Optimizer(name="Muon")
    config = Config(data=DigitsData(), model=MlpModel(), optimizer=section)
    with pytest.raises(BadInput, match=r"torch.optim.Muon refuses lr = 0.001: Muon only supports 2D parameters"):
        build_optimizer(config, nn.Linear(2, 2).parameters())


@pytest.mark.parametrize("module", [nn.ReLU(), nn.Linear(2, 2).requires_grad_(False)])
def test_a_model_without_weights(module: nn.Module) -> None:
    with pytest.raises(BadInput, match=r"model: the model has no weights to train"):
        build_optimizer(Config(data=DigitsData(), model=MlpModel()), module.parameters())
