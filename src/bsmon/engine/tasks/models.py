"""The model of a config: a built-in that fits the data, or the person's own."""

from __future__ import annotations

from torch import nn

from bsmon.config.schema import CharTransformerModel, CnnModel, Config, MlpModel, NamedLoss
from bsmon.engine.tasks.char_transformer import CharTransformer
from bsmon.engine.tasks.cnn import Cnn
from bsmon.engine.tasks.mlp import Mlp
from bsmon.engine.tasks.problems import problem
from bsmon.engine.tasks.targets import call_target, wrong_return
from bsmon.engine.tasks.task import TaskData


def build_model(config: Config, data: TaskData) -> nn.Module:
    """The model that [model] asks for, on the CPU, its weights drawn from torch's global generator (seed it first).

    Raises BadInput, saying what fits, where model and data do not go together, and when a target returns something
    else than an nn.Module.
    """
    match config.model:
        case MlpModel() as section:
            shape, outputs = _sizes(config, data)
            _refuse_tokens(config, data, "mlp")
            return Mlp(shape, outputs, section)
        case CnnModel() as section:
            shape, outputs = _sizes(config, data)
            _refuse_tokens(config, data, "cnn")
            if len(shape) != 3:
                raise problem(config.path, "model.name", _no_image(data.name, shape))
            return Cnn(shape[0], outputs, section)
        case CharTransformerModel() as section:
            shape, outputs = _sizes(config, data)
            if data.kind != "tokens":
                fits = '"cnn" or "mlp" fits' if len(shape) == 3 else '"mlp" fits'
                text = f'"char-transformer" reads tokens, and {data.name} has samples of {_words(shape)}; {fits}'
                raise problem(config.path, "model.name", text)
            return CharTransformer(outputs, shape[0], section)
        case section:
            value, _ = call_target(config, section, "model")
            if not isinstance(value, nn.Module):
                raise wrong_return(config, section, "model", value, "a torch.nn.Module")
            return value


def _sizes(config: Config, data: TaskData) -> tuple[tuple[int, ...], int]:
    """Shape of a sample and number of outputs, which built-in models need to know."""
    if data.input_shape is None or data.outputs is None:
        raise problem(
            config.path,
            "model.name",
            f'a built-in model cannot tell the sizes of "{data.name}"; return a TensorDataset of inputs and targets, '
            'or give a model of your own with target = "module:callable"',
        )
    binary = isinstance(config.loss, NamedLoss) and config.loss.name == "bce" and data.kind == "classes"
    return data.input_shape, 1 if binary and data.outputs == 2 else data.outputs


def _refuse_tokens(config: Config, data: TaskData, model: str) -> None:
    if data.kind == "tokens":
        text = f'"{model}" reads numbers, and {data.name} has tokens; "char-transformer" fits'
        raise problem(config.path, "model.name", text)


def _no_image(name: str, shape: tuple[int, ...]) -> str:
    text = f'"cnn" needs images (channels x height x width), and {name} has samples of {_words(shape)}; "mlp" fits'
    if name == "digits":
        return f"{text}, or set data.flat = false"
    if len(shape) == 2:
        return f"{text}, or store x as samples x 1 x {_words(shape)}"
    return text


def _words(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) if len(shape) != 1 else f"{shape[0]} numbers"
