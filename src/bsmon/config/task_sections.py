"""The sections that say what to train: data, model, loss and optimizer. Every field is described here only."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, field

from bsmon.config.base import (
    NotNegative,
    NotNegativeFloat,
    Positive,
    PositiveFloat,
    Section,
    Share,
    TargetSection,
    Text,
)

Domain = Annotated[
    Literal["images", "text", "other"] | None,
    Meta(
        description="What the samples are. The advisor holds the batch size against the range that the guidelines give "
        "for it.",
        examples=["images"],
    ),
]


class DigitsData(Section, frozen=True, tag_field="task", tag="digits"):
    """1,797 real handwritten digits, 8x8 pixels, 10 classes; bsmon carries them."""

    validation: Annotated[Share, Meta(description="Share held out for validation.")] = 0.2
    flat: Annotated[
        bool | None,
        Meta(
            description="Rows of 64 numbers (true) or 1x8x8 images (false); without it, what the model takes.",
            examples=[False],
        ),
    ] = None
    domain: Domain = "images"


class NpzData(Section, frozen=True, tag_field="task", tag="npz"):
    """Arrays x and y (and, if there, x_val and y_val) of a NumPy .npz file."""

    path: Annotated[Text, Meta(description="The file, relative to the config file.", examples=["data.npz"])]
    validation: Annotated[Share, Meta(description="Share held out when the file has no x_val and y_val.")] = 0.2
    domain: Domain = None


class TextData(Section, frozen=True, tag_field="task", tag="text"):
    """Next-character prediction on a text file."""

    path: Annotated[
        Text | None,
        Meta(
            description="The file, relative to the config file. Without it: a small text that bsmon carries.",
            examples=["book.txt"],
        ),
    ] = None
    context: Annotated[int, Meta(ge=2, description="Characters per sample.")] = 64
    stride: Annotated[
        Positive | None,
        Meta(description="Characters between the starts of two samples; without it, context.", examples=[32]),
    ] = None
    validation: Annotated[Share, Meta(description="Share at the end of the text that is held out.")] = 0.1
    domain: Domain = "text"


class CatsVsDogsData(Section, frozen=True, tag_field="task", tag="cats-vs-dogs"):
    """The synthetic set of the guidelines' complete example (C, part 7): random vectors with random labels."""

    samples: Annotated[int, Meta(ge=2, description="Training samples.")] = 1024
    validation_samples: Annotated[NotNegative, Meta(description="Validation samples.")] = 256
    features: Annotated[Positive, Meta(description="Numbers per sample.")] = 1000
    signal: Annotated[
        NotNegativeFloat,
        Meta(
            description="Distance between the two classes' means in standard deviations. 0, as in the guidelines: "
            "nothing to learn but the training set by heart."
        ),
    ] = 0.0
    domain: Domain = None


class LongTailData(Section, frozen=True, tag_field="task", tag="long-tail"):
    """Synthetic classes whose frequencies fall by a power law; a few are common, most are rare."""

    samples: Annotated[int, Meta(ge=10, description="Training samples.")] = 4096
    classes: Annotated[int, Meta(ge=2, description="Number of classes.")] = 50
    exponent: Annotated[
        NotNegativeFloat, Meta(description="The k-th class is as frequent as k to the power of minus this.")
    ] = 1.0
    features: Annotated[Positive, Meta(description="Numbers per sample.")] = 64
    separation: Annotated[PositiveFloat, Meta(description="Distance between class means in standard deviations.")] = 3.0
    validation: Annotated[Share, Meta(description="Share held out for validation.")] = 0.2
    weighted: Annotated[
        bool, Meta(description="Draw all classes equally often, with torch's WeightedRandomSampler.")
    ] = True
    domain: Domain = None


class DataTarget(TargetSection, frozen=True):
    """Your own data: a Dataset, a pair (train, validation), or a dict of train, validation and sample_weights."""

    domain: Domain = None


class MlpModel(Section, frozen=True, tag_field="name", tag="mlp"):
    """A multi-layer perceptron; images are flattened."""

    hidden: Annotated[tuple[Positive, ...], Meta(description="Widths of the hidden layers.")] = (128,)
    norm: Annotated[
        Literal["batch", "layer", "none"],
        Meta(description='Normalisation after each hidden layer. With "batch", keep the micro batch at 16 or more.'),
    ] = "none"
    dropout: Annotated[Share, Meta(description="Share dropped after each hidden layer.")] = 0.0


class CnnModel(Section, frozen=True, tag_field="name", tag="cnn"):
    """A small convolutional network for images."""

    channels: Annotated[
        tuple[Positive, ...],
        Meta(min_length=1, description="Channels of the 3x3 convolutions; each but the first halves the image."),
    ] = (16, 32, 64)
    norm: Annotated[
        Literal["batch", "group", "layer", "none"],
        Meta(description='Normalisation. With "batch", keep the micro batch at 16 or more.'),
    ] = "batch"
    dropout: Annotated[Share, Meta(description="Share dropped before the last layer.")] = 0.0


class CharTransformerModel(Section, frozen=True, tag_field="name", tag="char-transformer"):
    """A small decoder-only transformer over characters."""

    width: Annotated[Positive, Meta(description="Embedding width; a multiple of heads.")] = 64
    heads: Annotated[Positive, Meta(description="Attention heads.")] = 4
    layers: Annotated[Positive, Meta(description="Blocks of attention and perceptron, one after the other.")] = 2
    dropout: Annotated[Share, Meta(description="Share dropped in every block.")] = 0.0


class NamedLoss(Section, frozen=True):
    """A built-in loss, always the mean over samples."""

    name: Annotated[
        Literal["auto", "cross-entropy", "mse", "l1", "bce", "model"],
        Meta(
            description='"auto": what suits the data (cross-entropy for classes, mse for real numbers). "model": the '
            "model's output is the loss, or has it as loss."
        ),
    ] = "auto"
    label_smoothing: Annotated[Share, Meta(description="For cross-entropy: spread this share over all classes.")] = 0.0


class Optimizer(Section, frozen=True):
    """Any class of torch.optim. The section's other keys are its arguments, such as weight_decay or momentum."""

    name: Annotated[Text, Meta(description='Class of torch.optim: "SGD", "Adam", "AdamW", "RMSprop", ...')] = "AdamW"
    lr: Annotated[PositiveFloat, Meta(description="Learning rate at the starting batch size.")] = 1e-3
    arguments: dict[str, object] = field(default_factory=dict)


DataSection = DigitsData | NpzData | TextData | CatsVsDogsData | LongTailData
ModelSection = MlpModel | CnnModel | CharTransformerModel
