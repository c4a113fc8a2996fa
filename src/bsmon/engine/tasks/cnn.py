"""Model cnn: a small convolutional network for images."""

from __future__ import annotations

from torch import Tensor, nn

from bsmon.config.schema import CnnModel

_MOST_GROUPS = 8


class Cnn(nn.Module):
    """3x3 convolutions with ReLU, each but the first at stride 2; then the mean over the image and a linear layer.

    Works for images of any size, because the mean takes whatever is left of them.
    """

    def __init__(self, in_channels: int, outputs: int, config: CnnModel) -> None:
        super().__init__()
        blocks: list[nn.Module] = []
        for index, channels in enumerate(config.channels):
            stride = 1 if index == 0 else 2
            # A normalisation brings its own bias.
            bias = config.norm == "none"
            blocks.append(nn.Conv2d(in_channels, channels, 3, stride=stride, padding=1, bias=bias))
            blocks.extend(normalisation(config.norm, channels))
            blocks.append(nn.ReLU())
            in_channels = channels
        self.features = nn.Sequential(*blocks)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(in_channels, outputs)

    def forward(self, images: Tensor) -> Tensor:
        """Images (batch, channels, height, width) -> outputs (batch, outputs)."""
        features = self.features(images).mean(dim=(2, 3))
        scores: Tensor = self.head(self.dropout(features))
        return scores


def normalisation(name: str, channels: int) -> list[nn.Module]:
    """The layer for "batch", "group" or "layer"; nothing for "none".

    Group and layer normalisation do not look at the rest of the batch, so they work at any batch size (guidelines C,
    part 9). Layer normalisation of an image is group normalisation with one group (Wu and He 2018).
    """
    match name:
        case "batch":
            return [nn.BatchNorm2d(channels)]
        case "group":
            groups = next(count for count in range(_MOST_GROUPS, 0, -1) if channels % count == 0)
            return [nn.GroupNorm(groups, channels)]
        case "layer":
            return [nn.GroupNorm(1, channels)]
        case _:
            return []
