"""The whole state of a training as plain values and tensors, for checkpoints and for undoing a change."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import numpy
import torch

from bsmon.core.errors import BadInput
from bsmon.engine.build import Parts
from bsmon.engine.controls import Controls


def capture(parts: Parts, controls: Controls, step: int) -> dict[str, object]:
    """Everything that the next update depends on. The tensors are the live ones: copy before training goes on."""
    return {
        "step": step,
        "train_samples": parts.info.train_samples,
        "model": parts.model.state_dict(),
        "optimizer": parts.optimizer.state_dict(),
        "scaler": parts.scaler.state_dict() if parts.scaler is not None else None,
        "random": _random_state(parts.device),
        "cursor": parts.cursor.state(),
        "controls": controls.state(),
    }


def restore(parts: Parts, controls: Controls, state: Mapping[str, Any]) -> int:
    """Put everything back; returns the step. Raises BadInput when the state is another model's."""
    _check_model(parts.model, state["model"])
    if state["train_samples"] != parts.info.train_samples:
        raise BadInput(
            f"the checkpoint was made with {state['train_samples']:,} training samples, there are "
            f"{parts.info.train_samples:,} now; resume with the data that the run was started with"
        )
    parts.model.load_state_dict(state["model"])
    parts.optimizer.load_state_dict(state["optimizer"])
    if parts.scaler is not None and state["scaler"] is not None:
        parts.scaler.load_state_dict(state["scaler"])
    parts.cursor.restore(state["cursor"])
    controls.restore(state["controls"])
    _restore_random(state["random"], parts.device)
    return int(state["step"])


def _random_state(device: torch.device) -> dict[str, object]:
    twister = numpy.random.get_state(legacy=False)
    assert isinstance(twister, dict), "legacy=False gives a dict"
    version, numbers, gauss_next = random.getstate()
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state(device) if device.type == "cuda" else None,
        "python": [version, list(numbers), gauss_next],
        # Through bytes: a checkpoint holds plain values and tensors only.
        "numpy": {
            "keys": twister["state"]["key"].tobytes(),
            "position": int(twister["state"]["pos"]),
            "has_gauss": int(twister["has_gauss"]),
            "gauss": float(twister["gauss"]),
        },
    }


def _restore_random(state: Mapping[str, Any], device: torch.device) -> None:
    torch.set_rng_state(state["torch"])
    if device.type == "cuda" and state["cuda"] is not None:
        torch.cuda.set_rng_state(state["cuda"], device)
    version, numbers, gauss_next = state["python"]
    random.setstate((version, tuple(numbers), gauss_next))
    twister = state["numpy"]
    keys = numpy.frombuffer(twister["keys"], dtype=numpy.uint32)
    numpy.random.set_state(("MT19937", keys, twister["position"], twister["has_gauss"], twister["gauss"]))


def _check_model(model: torch.nn.Module, saved: Mapping[str, torch.Tensor]) -> None:
    """Say in one sentence how a checkpoint's model differs, instead of torch's page of keys."""
    here = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    there = {name: tuple(tensor.shape) for name, tensor in saved.items()}
    if here == there:
        return
    for name in [*there, *here]:
        if here.get(name) != there.get(name):
            ours, theirs = (_shape(shapes.get(name)) for shapes in (here, there))
            raise BadInput(
                f"the checkpoint is of another model: {name} is {theirs} in the checkpoint and {ours} in this config's "
                "model; resume with the config that the run was started with"
            )


def _shape(shape: tuple[int, ...] | None) -> str:
    return "absent" if shape is None else "x".join(map(str, shape)) or "a single number"
