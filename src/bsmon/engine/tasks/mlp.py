"""Model mlp: a multi-layer perceptron."""

from __future__ import annotations

import math
from collections import OrderedDict

from torch import Tensor, nn

from bsmon.config.schema import MlpModel


class Mlp(nn.Module):
    """Linear layers fc1, fc2, ... with ReLU between them; hidden = (100,) is the network of guidelines C, part 7."""

    def __init__(self, input_shape: tuple[int, ...], outputs: int, config: MlpModel) -> None:
        super().__init__()
        layers: OrderedDict[str, nn.Module] = OrderedDict(flatten=nn.Flatten())
        width = math.prod(input_shape)
        for number, hidden in enumerate(config.hidden, start=1):
            layers[f"fc{number}"] = nn.Linear(width, hidden)
            if config.norm != "none":
                layers[f"norm{number}"] = nn.BatchNorm1d(hidden) if config.norm == "batch" else nn.LayerNorm(hidden)
            layers[f"relu{number}"] = nn.ReLU()
            if config.dropout:
                layers[f"dropout{number}"] = nn.Dropout(config.dropout)
            width = hidden
        layers[f"fc{len(config.hidden) + 1}"] = nn.Linear(width, outputs)
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, inputs: Tensor) -> Tensor:
        """Inputs (batch, ...) of any sample shape -> outputs (batch, outputs)."""
        for layer in self.children():
            inputs = layer(inputs)
        return inputs
