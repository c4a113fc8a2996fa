"""The optimizer of a config: any class of torch.optim by its name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from bsmon.config.nearest import did_you_mean
from bsmon.config.schema import Config
from bsmon.config.values import kind_of, toml_value
from bsmon.engine.tasks.problems import problem

# Arguments that exclude fused, or that a person gives to choose another implementation.
_IMPLEMENTATION = ("fused", "foreach", "differentiable")


def build_optimizer(config: Config, parameters: Iterable[Tensor]) -> torch.optim.Optimizer:
    """The optimizer that [optimizer] asks for, over `parameters`, which are on their device already.

    Prefers the fused implementation, which updates each weight in one go, so that running out of memory leaves no
    torn weights. Raises BadInput, with the nearest name or with torch's own reason, for a class or an argument that
    cannot be.
    """
    kind = _class(config)
    arguments = _arguments(config, kind)
    weights = list(parameters)
    if not any(weight.requires_grad for weight in weights):
        raise problem(config.path, "model", "the model has no weights to train")
    rate = config.optimizer.lr
    make: Callable[..., torch.optim.Optimizer] = kind
    if not any(name in arguments for name in _IMPLEMENTATION):
        arguments |= _implementation(kind, weights)
    try:
        return make(weights, lr=rate, **arguments)
    except (TypeError, ValueError, RuntimeError) as error:
        given = ", ".join(f"{name} = {toml_value(value)}" for name, value in config.optimizer.arguments.items())
        text = f"torch.optim.{kind.__name__} refuses lr = {rate:g}{given and f', {given}'}: {error}"
        raise problem(config.path, "optimizer", text) from error


def _class(config: Config) -> type[torch.optim.Optimizer]:
    """The class that optimizer.name means, if bsmon can drive it."""
    name = config.optimizer.name
    known: dict[str, type[torch.optim.Optimizer]] = {
        key: value for key, value in vars(torch.optim).items() if _is_optimizer(value)
    }
    if name not in known:
        raise problem(config.path, "optimizer.name", f'torch.optim has no "{name}"; {did_you_mean(name, known)}')
    if inspect.signature(known[name].step).parameters["closure"].default is inspect.Parameter.empty:
        raise problem(
            config.path,
            "optimizer.name",
            f'"{name}" evaluates the loss several times in one update, which bsmon does not do; "AdamW" or "SGD" fit',
        )
    return known[name]


def _implementation(kind: Callable[..., torch.optim.Optimizer], weights: Sequence[Tensor]) -> dict[str, bool]:
    """Fused where there is that; else, on CUDA, what torch takes there by itself.

    Said aloud, because for the fake tensors of a forecast torch would take another one, which needs up to a third less
    memory (seen in torch 2.13).
    """
    if _has_fused(kind, weights):
        return {"fused": True}
    on_cuda = all(weight.device.type == "cuda" for weight in weights)
    return {"foreach": True} if on_cuda and "foreach" in inspect.signature(kind).parameters else {}


def _has_fused(kind: Callable[..., torch.optim.Optimizer], weights: Iterable[Tensor]) -> bool:
    """Whether the class has a fused implementation for weights like these.

    Tried on a weight of one element for each device and type, because torch tells only at the first step.
    """
    if "fused" not in inspect.signature(kind).parameters:
        return False
    for device, dtype in {(weight.device, weight.dtype) for weight in weights}:
        trial = torch.zeros(1, device=device, dtype=dtype, requires_grad=True)
        trial.grad = torch.zeros_like(trial)
        try:
            kind([trial], fused=True).step()
        except RuntimeError:
            return False
    return True


def _is_optimizer(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, torch.optim.Optimizer) and value is not torch.optim.Optimizer


def _options(kind: type[torch.optim.Optimizer]) -> dict[str, inspect.Parameter]:
    """The keyword arguments of an optimizer class, but for those that bsmon gives."""
    parameters = inspect.signature(kind).parameters
    return {name: value for name, value in parameters.items() if name not in ("params", "lr")}


def _arguments(config: Config, kind: type[torch.optim.Optimizer]) -> dict[str, Any]:
    """The section's other keys as the class wants them: lists become tuples (betas), numbers are numbers."""
    options = _options(kind)
    arguments: dict[str, Any] = {}
    for name, value in config.optimizer.arguments.items():
        key = f"optimizer.{name}"
        if name not in options:
            nearest = did_you_mean(name, ["lr", *options])
            text = f"torch.optim.{kind.__name__} takes no such argument; {nearest}"
            raise problem(config.path, key, text)
        wanted = _wanted(options[name].default, value)
        if wanted is not None:
            raise problem(config.path, key, f"expected {wanted}, got {toml_value(value)} ({kind_of(value)})")
        arguments[name] = tuple(value) if isinstance(value, list) else value
    return arguments


def _wanted(default: object, value: object) -> str | None:
    """What an argument with this default should be, in words; None where `value` will do.

    torch checks ranges but not all types: momentum = true would train, and a text would fail at the first step.
    """
    if isinstance(default, bool):
        return None if isinstance(value, bool) else "true or false"
    if isinstance(default, (int, float)):
        return None if _is_number(value) else "a number"
    if isinstance(default, tuple):
        fits = isinstance(value, list) and len(value) == len(default) and all(map(_is_number, value))
        return None if fits else f"a list of {len(default)} numbers"
    return None


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
