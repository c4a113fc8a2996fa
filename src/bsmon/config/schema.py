"""The config file's sections. Every field is described here and nowhere else.

`bsmon init`, docs/configuration.md and the error messages all draw on these descriptions.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field

Positive = Annotated[int, Meta(ge=1)]
PositiveFloat = Annotated[float, Meta(gt=0)]


class Section(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of all sections: immutable, no unknown keys."""


class Run(Section, frozen=True):
    """The run as a whole."""

    name: Annotated[str, Meta(min_length=1, max_length=80, description="Shown on the screen; names the run's folder.")] = "run"
    seed: Annotated[int, Meta(ge=0, description="Seeds weights, shuffling and dropout; the same seed repeats the run.")] = 0
    epochs: Annotated[Positive | None, Meta(description="Passes over the training data. Give this or max_steps.")] = None
    max_steps: Annotated[Positive | None, Meta(description="Updates to make in all. Give this or epochs.")] = None
    device: Annotated[str, Meta(pattern=r"^(auto|cpu|cuda|cuda:\d+|mps)$", description='"auto" (a GPU where there is one), "cpu", "cuda:0", ...')] = "auto"
    precision: Annotated[Literal["fp32", "bf16", "fp16"], Meta(description="Autocast type of forward passes; fp16 scales its loss.")] = "fp32"
    compile: Annotated[bool, Meta(description="Run the model through torch.compile.")] = False
    threads: Annotated[Literal["auto"] | Positive, Meta(description='Torch\'s CPU threads; "auto" leaves one core free when training on the CPU, because torch on every core beside any busy process (this screen, say) can slow training 20 to 200 times.')] = "auto"


class Schedule(Section, frozen=True):
    """The learning rate over the run, as a function of samples seen, so that a batch change does not stretch it."""

    name: Annotated[Literal["constant", "step", "cosine", "linear"], Meta(description="Shape after the warm-up.")] = "constant"
    warmup_epochs: Annotated[float, Meta(ge=0, description="Linear warm-up from 0 over this many epochs' worth of samples.")] = 0.0
    step_epochs: Annotated[float, Meta(gt=0, description="step: epochs between two drops.")] = 10.0
    gamma: Annotated[float, Meta(gt=0, le=1, description="step: factor of each drop.")] = 0.1
    final: Annotated[float, Meta(ge=0, le=1, description="cosine, linear: the last learning rate as a share of the first.")] = 0.0


class Batch(Section, frozen=True):
    """The batch: size = micro_batch_size x gradient accumulation steps."""

    size: Annotated[int, Meta(ge=1, description="Samples per weight update (the effective batch size) at the start.")] = 32
    micro_batch_size: Annotated[Literal["auto"] | Positive, Meta(description='Samples per forward pass; "auto": as many as fit, at most size. The rest is accumulated.')] = "auto"
    min: Annotated[int, Meta(ge=1, description="Never go below this batch size, by hand or by advice.")] = 1
    max: Annotated[Positive | None, Meta(description="Never go above this batch size; without it the training set's size is the limit.")] = None


class Train(Section, frozen=True):
    """The loop."""

    grad_clip: Annotated[PositiveFloat | None, Meta(description="Clip the global gradient norm to this; the norm shown is the one before clipping.")] = None
    shuffle: Annotated[bool, Meta(description="Shuffle the training data anew each epoch.")] = True
    drop_last: Annotated[bool, Meta(description="Leave out an epoch's last batch when it is short.")] = False
    num_workers: Annotated[int, Meta(ge=0, description="DataLoader worker processes; 0 loads in the training thread.")] = 0
    eval_every: Annotated[Literal["epoch", "never"] | Positive, Meta(description='Validate after every "epoch", every so many steps, or "never".')] = "epoch"
    eval_batch_size: Annotated[int, Meta(ge=1, description="Samples per forward pass in validation (eval mode, so it changes no result).")] = 256


class Advisor(Section, frozen=True):
    """The advisor that suggests batch sizes."""

    mode: Annotated[Literal["off", "advise", "auto"], Meta(description='"advise" recommends; "auto" also applies, within [batch] min and max.')] = "advise"
    learning_rate_rule: Annotated[Literal["auto", "unchanged", "linear", "sqrt", "gain"], Meta(description="How the learning rate follows a batch change; auto: by noise scale where it is known, else linear for SGD and square root for Adam.")] = "auto"


class Memory(Section, frozen=True):
    """Memory limits of your own."""

    budget: Annotated[Annotated[str, Meta(pattern=r"^\d+(\.\d+)?\s*(B|KB|MB|GB|TB|KiB|MiB|GiB|TiB)$")] | None, Meta(description='Most memory that training may use, e.g. "6GiB"; more counts as out of memory.')] = None


class Ui(Section, frozen=True):
    """The screen."""

    theme: Annotated[str, Meta(description="Colour theme: a name from themes/ or the path of a .toml file.")] = "night"
    frames_per_second: Annotated[float, Meta(ge=0.2, le=4, description="How often the screen is drawn at most.")] = 2.0


class DigitsData(Section, frozen=True, tag_field="task", tag="digits"):
    """1,797 real handwritten digits, 8x8 pixels, 10 classes; carried by bsmon."""

    validation: Annotated[float, Meta(ge=0, lt=1, description="Share held out for validation.")] = 0.2
    flat: Annotated[bool | None, Meta(description="Rows of 64 numbers instead of 1x8x8 images; default: what the model takes.")] = None


class NpzData(Section, frozen=True, tag_field="task", tag="npz"):
    """Arrays x and y (and, if there, x_val and y_val) of a NumPy .npz file."""

    path: Annotated[str, Meta(description="The file; relative to the config file.")]
    validation: Annotated[float, Meta(ge=0, lt=1, description="Share held out when the file has no x_val and y_val.")] = 0.2


class TextData(Section, frozen=True, tag_field="task", tag="text"):
    """Next-character prediction on a text file."""

    path: Annotated[str | None, Meta(description="The file; relative to the config file. Without it: a small text that bsmon carries.")] = None
    context: Annotated[int, Meta(ge=2, description="Characters per sample.")] = 64
    stride: Annotated[Positive | None, Meta(description="Characters between the starts of two samples; default: context.")] = None
    validation: Annotated[float, Meta(ge=0, lt=1, description="Share at the end of the text that is held out.")] = 0.1


class CatsVsDogsData(Section, frozen=True, tag_field="task", tag="cats-vs-dogs"):
    """The synthetic set of the guidelines' complete example: 1,024 + 256 random vectors, random labels."""

    samples: Annotated[int, Meta(ge=2, description="Training samples.")] = 1024
    validation_samples: Annotated[int, Meta(ge=0, description="Validation samples.")] = 256
    features: Annotated[int, Meta(ge=1, description="Numbers per sample.")] = 1000
    signal: Annotated[float, Meta(ge=0, description="Distance between the two classes' means in standard deviations; 0, as in the guidelines, has nothing to learn but the training set by heart.")] = 0.0


class LongTailData(Section, frozen=True, tag_field="task", tag="long-tail"):
    """Synthetic classes whose frequencies fall by a power law, drawn with torch's WeightedRandomSampler."""

    samples: Annotated[int, Meta(ge=10, description="Training samples.")] = 4096
    classes: Annotated[int, Meta(ge=2, description="Number of classes.")] = 50
    exponent: Annotated[float, Meta(ge=0, description="Frequency of the k-th class is proportional to k^-exponent.")] = 1.0
    features: Annotated[int, Meta(ge=1, description="Numbers per sample.")] = 64
    separation: Annotated[float, Meta(gt=0, description="Distance between class means in standard deviations.")] = 3.0
    validation: Annotated[float, Meta(ge=0, lt=1, description="Share held out for validation.")] = 0.2
    weighted: Annotated[bool, Meta(description="Draw classes evenly with WeightedRandomSampler.")] = True


class TargetSection(Struct, frozen=True, kw_only=True):
    """Your own code: `target = "package.module:callable"`; the section's other keys are its arguments."""

    target: Annotated[str, Meta(pattern=r"^[\w.]+:[\w.]+$", description='"package.module:callable", beside the config file or installed.')]
    arguments: dict[str, object] = field(default_factory=dict)


class MlpModel(Section, frozen=True, tag_field="name", tag="mlp"):
    """A multi-layer perceptron."""

    hidden: Annotated[tuple[Positive, ...], Meta(description="Widths of the hidden layers.")] = (128,)
    norm: Annotated[Literal["batch", "layer", "none"], Meta(description="Normalisation after each hidden layer.")] = "none"
    dropout: Annotated[float, Meta(ge=0, lt=1, description="Dropout after each hidden layer.")] = 0.0


class CnnModel(Section, frozen=True, tag_field="name", tag="cnn"):
    """A small convolutional network for images."""

    channels: Annotated[tuple[Positive, ...], Meta(min_length=1, description="Channels of the 3x3 convolutions; each but the first halves the image.")] = (16, 32, 64)
    norm: Annotated[Literal["batch", "group", "layer", "none"], Meta(description="Normalisation. With batch, keep the micro batch at 16 or more.")] = "batch"
    dropout: Annotated[float, Meta(ge=0, lt=1, description="Dropout before the last layer.")] = 0.0


class CharTransformerModel(Section, frozen=True, tag_field="name", tag="char-transformer"):
    """A small decoder-only transformer over characters."""

    width: Annotated[int, Meta(ge=1, description="Embedding width; a multiple of heads.")] = 64
    heads: Annotated[int, Meta(ge=1, description="Attention heads.")] = 4
    layers: Annotated[int, Meta(ge=1, description="Blocks.")] = 2
    dropout: Annotated[float, Meta(ge=0, lt=1, description="Dropout in every block.")] = 0.0


class NamedLoss(Section, frozen=True):
    """A built-in loss."""

    name: Annotated[Literal["auto", "cross-entropy", "mse", "l1", "bce"], Meta(description='"auto": what suits the data (cross-entropy for classes, mse for real numbers).')] = "auto"
    label_smoothing: Annotated[float, Meta(ge=0, lt=1, description="cross-entropy: label smoothing.")] = 0.0


class Optimizer(Struct, frozen=True, kw_only=True):
    """Any class of torch.optim by its name; the section's other keys are its arguments."""

    name: Annotated[str, Meta(min_length=1, description='"SGD", "Adam", "AdamW", ... any class of torch.optim.')] = "AdamW"
    lr: Annotated[float, Meta(gt=0, description="Learning rate at the starting batch size.")] = 1e-3
    arguments: dict[str, object] = field(default_factory=dict)


DataSection = DigitsData | NpzData | TextData | CatsVsDogsData | LongTailData
ModelSection = MlpModel | CnnModel | CharTransformerModel


class Config(Section, frozen=True):
    """A whole config file, validated. `path` is where it was read from."""

    data: DataSection | TargetSection
    model: ModelSection | TargetSection
    run: Run = Run()
    loss: NamedLoss | TargetSection = NamedLoss()
    optimizer: Optimizer = Optimizer()
    schedule: Schedule = Schedule()
    batch: Batch = Batch()
    train: Train = Train()
    advisor: Advisor = Advisor()
    memory: Memory = Memory()
    ui: Ui = Ui()
    domain: Annotated[Literal["images", "text", "other"] | UnsetType, Meta(description="set in [data]: what the samples are")] = UNSET
    path: str = ""
