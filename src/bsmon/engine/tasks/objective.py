"""What training makes small: one number from a model and a batch, and how many answers were right."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Protocol

from torch import Tensor, nn

from bsmon.config.schema import Config, TargetSection
from bsmon.core.errors import BadInput
from bsmon.engine.tasks import losses
from bsmon.engine.tasks.batch_parts import call_model, inputs_and_targets, part_of, scores_of
from bsmon.engine.tasks.problems import problem
from bsmon.engine.tasks.targets import call_target, wrong_return
from bsmon.engine.tasks.task import Kind, TaskData

Hits = tuple[Tensor, int]
"""Right answers, a scalar tensor on the model's device, and of how many."""


class Objective(Protocol):
    """A loss with the way to call the model for it."""

    name: str

    def __call__(self, model: nn.Module, batch: Any) -> tuple[Tensor, Any]:
        """The loss, a scalar: the mean over the batch's samples; and the model's output as the model gave it.

        Raises BadInput when batch, output and loss do not fit each other.
        """
        ...

    def correct(self, output: Any, batch: Any) -> Hits | None:
        """Right answers of this output; None where answers are not classes."""
        ...


class LossOnScores:
    """A built-in loss: compares the model's scores with the batch's targets."""

    def __init__(
        self,
        name: str,
        loss: Callable[[Tensor, Tensor], Tensor],
        hits: Callable[[Tensor, Tensor], Hits | None] | None,
    ) -> None:
        self.name = name
        self._loss = loss
        self._hits = hits

    def __call__(self, model: nn.Module, batch: Any) -> tuple[Tensor, Any]:
        """See Objective."""
        inputs, targets = inputs_and_targets(batch)
        output = call_model(model, inputs)
        return self._loss(scores_of(output), targets), output

    def correct(self, output: Any, batch: Any) -> Hits | None:
        """See Objective."""
        return None if self._hits is None else self._hits(scores_of(output), inputs_and_targets(batch)[1])


class OwnLoss:
    """The person's own loss: called with the model's output and the targets, gives the mean over the samples."""

    def __init__(self, name: str, loss: Callable[[Any, Any], Any]) -> None:
        self.name = name
        self._loss = loss
        self._placed = not isinstance(loss, nn.Module)

    def __call__(self, model: nn.Module, batch: Any) -> tuple[Tensor, Any]:
        """See Objective."""
        inputs, targets = inputs_and_targets(batch)
        output = call_model(model, inputs)
        if not self._placed:
            self._place(model)
        return _scalar(self._loss(output, targets), f'the loss "{self.name}"'), output

    def correct(self, output: Any, batch: Any) -> Hits | None:
        """See Objective; answers count where output and targets look like class scores and class numbers."""
        targets = inputs_and_targets(batch)[1]
        both = isinstance(output, Tensor) and isinstance(targets, Tensor)
        return losses.class_hits(output, targets) if both else None

    def _place(self, model: nn.Module) -> None:
        """Put a loss that is a module, and may hold tensors (class weights), where the model is."""
        weight = next(model.parameters(), None)
        if isinstance(self._loss, nn.Module) and weight is not None:
            self._loss.to(weight.device)
        self._placed = True


class ModelLoss:
    """The model computes its own loss: its output is the loss, or has it as `loss` (an attribute or a key).

    A dict batch goes in as keyword arguments, a tuple as positional ones, anything else as the one argument.
    """

    name = "model"

    def __call__(self, model: nn.Module, batch: Any) -> tuple[Tensor, Any]:
        """See Objective."""
        output = model(*batch) if isinstance(batch, (tuple, list)) else call_model(model, batch)
        loss = output if isinstance(output, Tensor) else part_of(output, "loss")
        return _scalar(loss, 'loss.name = "model": the model\'s output, or its "loss",'), output

    def correct(self, output: Any, batch: Any) -> Hits | None:  # noqa: ARG002  the protocol's arguments
        """None: only the model knows how its outputs and targets belong together."""
        return None


_SUITABLE: Mapping[Kind, tuple[str, ...]] = {
    "classes": ("cross-entropy",),
    "tokens": ("cross-entropy",),
    "numbers": ("mse", "l1", "bce"),
}
"""The built-in losses for each kind of targets, what "auto" takes first; two classes may have bce, too."""


def build_objective(config: Config, data: TaskData) -> Objective:
    """The loss that [loss] asks for.

    Raises BadInput where loss and data do not go together, and when a target returns something that is no function.
    """
    if isinstance(config.loss, TargetSection):
        value, _ = call_target(config, config.loss, "loss")
        if not callable(value) or isinstance(value, type):
            raise wrong_return(config, config.loss, "loss", value, "a function of (output, targets)")
        return OwnLoss(config.loss.target, value)
    name = _chosen(config, config.loss.name, data)
    if name == "model":
        return ModelLoss()
    smoothing = config.loss.label_smoothing
    if smoothing and name not in ("cross-entropy", "auto"):
        raise problem(config.path, "loss.label_smoothing", f'only "cross-entropy" smooths labels, the loss is "{name}"')
    return _built_in(smoothing)[name]


def _built_in(smoothing: float) -> dict[str, LossOnScores]:
    return {
        "auto": LossOnScores("auto", partial(_by_targets, label_smoothing=smoothing), losses.class_hits),
        "cross-entropy": LossOnScores(
            "cross-entropy", partial(losses.cross_entropy, label_smoothing=smoothing), losses.class_hits
        ),
        "mse": LossOnScores("mse", losses.mse, None),
        "l1": LossOnScores("l1", losses.l1, None),
        "bce": LossOnScores("bce", losses.bce, losses.binary_hits),
    }


def _chosen(config: Config, name: str, data: TaskData) -> str:
    """The loss's name with "auto" decided where the data tells, checked against the data."""
    if data.kind == "own" or name == "model" or (name != "auto" and isinstance(config.data, TargetSection)):
        return name
    suits, *others = _SUITABLE[data.kind]
    what = {"classes": f"{data.outputs} classes", "tokens": "tokens", "numbers": "real numbers"}[data.kind]
    if name == "auto":
        return suits
    if name in (suits, *others) or (name == "bce" and (data.kind, data.outputs) == ("classes", 2)):
        return name
    raise problem(
        config.path, "loss.name", f'"{name}" does not suit {data.name}, whose targets are {what}; "{suits}" does'
    )


def _by_targets(scores: Tensor, targets: Tensor, label_smoothing: float) -> Tensor:
    """Data of the person's own: cross-entropy for whole-number targets, mean squared error for real ones."""
    if targets.is_floating_point():
        return losses.mse(scores, targets)
    return losses.cross_entropy(scores, targets, label_smoothing)


def _scalar(loss: Any, whose: str) -> Tensor:
    """`loss` if it is one real number in a tensor."""
    if isinstance(loss, Tensor) and loss.numel() == 1 and loss.is_floating_point():
        return loss.reshape(())
    got = f"a tensor of shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else f"{type(loss).__name__}"
    raise BadInput(f"{whose} must be one number in a tensor, the mean over the batch; it is {got}")
