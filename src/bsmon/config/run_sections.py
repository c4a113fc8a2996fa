"""The sections that say how to train, and how to watch it. Every field is described here and nowhere else."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from bsmon.config.base import NotNegative, NotNegativeFloat, Positive, PositiveFloat, Section, Text
from bsmon.config.sizes import SIZE_PATTERN

DEFAULT_EPOCHS = 10
MOST_RANKS = 64

WeightIndex = Annotated[
    str, Meta(pattern=r"^[^\s\[\]]+\[[0-9]+(\s*,\s*[0-9]+)*\]\Z", title='text like "fc1.weight[50,30]"')
]
ByteSize = Annotated[str, Meta(pattern=SIZE_PATTERN, title='a size like "6GiB" or "500 MB"')]


class Run(Section, frozen=True):
    """The run as a whole: its length, its device and its numbers."""

    name: Annotated[
        str, Meta(min_length=1, max_length=80, description="Shown on the screen, and part of the run folder's name.")
    ] = "run"
    seed: Annotated[
        int,
        Meta(ge=0, le=2**32 - 1, description="Seeds weights, shuffling and dropout; the same seed repeats the run."),
    ] = 0
    epochs: Annotated[
        Positive | None,
        Meta(
            description=f"Passes over the training data. Give this or max_steps; without either: {DEFAULT_EPOCHS}.",
            examples=[20],
        ),
    ] = None
    max_steps: Annotated[
        Positive | None, Meta(description="Weight updates in all. Give this or epochs.", examples=[1000])
    ] = None
    device: Annotated[
        str,
        Meta(
            pattern=r"^(auto|cpu|cuda|cuda:[0-9]{1,3}|mps)\Z",
            title='"auto", "cpu", "cuda", "cuda:0" (or another number) or "mps"',
            description='Where to train; "auto" takes a GPU where there is one.',
        ),
    ] = "auto"
    world_size: Annotated[
        int,
        Meta(
            ge=1,
            le=MOST_RANKS,
            description="Processes (ranks) of this machine that share every batch, each on a GPU of its own: cuda:0, "
            "cuda:1 and so on (CUDA_VISIBLE_DEVICES chooses which), or all on the CPU.",
            examples=[2],
        ),
    ] = 1
    precision: Annotated[
        Literal["fp32", "bf16", "fp16"],
        Meta(description="Number type of forward passes (autocast); fp16 needs a GPU and scales its loss."),
    ] = "fp32"
    compile: Annotated[bool, Meta(description="Run the model through torch.compile.")] = False
    threads: Annotated[
        Literal["auto"] | Positive,
        Meta(
            description='Torch\'s CPU threads. "auto" leaves one core free when training on the CPU: torch on '
            "every core beside any busy process (this screen, say) can slow training 20 to 200 times."
        ),
    ] = "auto"


class Schedule(Section, frozen=True):
    """The learning rate over the run. It follows samples seen, not steps, so a batch change does not stretch it."""

    name: Annotated[
        Literal["constant", "step", "cosine", "linear"], Meta(description="Shape of the curve after the warm-up.")
    ] = "constant"
    warmup_epochs: Annotated[
        NotNegativeFloat, Meta(description="Rise from 0 in a straight line over this many epochs' worth of samples.")
    ] = 0.0
    step_epochs: Annotated[PositiveFloat, Meta(description="For step: epochs between two drops.")] = 10.0
    gamma: Annotated[float, Meta(gt=0, le=1, description="For step: each drop multiplies by this.")] = 0.1
    final: Annotated[
        float, Meta(ge=0, le=1, description="For cosine and linear: the last learning rate as a share of the first.")
    ] = 0.0


class Batch(Section, frozen=True):
    """The batch size at the start and its limits: size = micro_batch_size x gradient accumulation steps."""

    size: Annotated[
        Positive, Meta(description="Samples per weight update (the effective batch size) at the start of the run.")
    ] = 32
    micro_batch_size: Annotated[
        Literal["auto"] | Positive,
        Meta(
            description='Samples per forward pass; the rest of the batch is accumulated. "auto": as many as fit in '
            "memory, at most size."
        ),
    ] = "auto"
    min: Annotated[Positive, Meta(description="Never go below this batch size, by hand or by advice.")] = 1
    max: Annotated[
        Positive | None,
        Meta(
            description="Never go above this batch size; without it the training set's size is the limit.",
            examples=[512],
        ),
    ] = None


class Train(Section, frozen=True):
    """The training loop: clipping, data order and validation."""

    grad_clip: Annotated[
        PositiveFloat | None,
        Meta(
            description="Clip the gradient's global norm to this. The norm shown is the one before clipping.",
            examples=[1.0],
        ),
    ] = None
    shuffle: Annotated[bool, Meta(description="Put the training data in a new order each epoch.")] = True
    drop_last: Annotated[bool, Meta(description="Leave out an epoch's last batch when it is short.")] = False
    num_workers: Annotated[
        NotNegative, Meta(description="DataLoader worker processes; 0 loads in the training thread.")
    ] = 0
    eval_every: Annotated[
        Literal["epoch", "never"] | Positive,
        Meta(description='Validate after every "epoch", after every so many updates (a number), or "never".'),
    ] = "epoch"
    eval_batch_size: Annotated[
        Positive, Meta(description="Samples per forward pass in validation (eval mode, so it changes no result).")
    ] = 256
    stop_on_nan: Annotated[
        bool, Meta(description="End the run as failed when the loss is not a finite number; otherwise it goes on.")
    ] = False


class Advisor(Section, frozen=True):
    """The advisor that recommends batch sizes while the run goes on."""

    mode: Annotated[
        Literal["off", "advise", "auto"],
        Meta(description='"advise" recommends; "auto" also applies what it recommends, within [batch] min and max.'),
    ] = "advise"
    learning_rate_rule: Annotated[
        Literal["auto", "unchanged", "linear", "sqrt", "gain"],
        Meta(
            description='How the learning rate follows a batch change. "auto": by the gradient noise scale where it is '
            "known, else linear for SGD and square root for Adam."
        ),
    ] = "auto"


class Telemetry(Section, frozen=True):
    """What is measured during the run, and what the measuring may cost."""

    budget: Annotated[
        float,
        Meta(
            gt=0,
            le=1,
            description="Share of the training time that gradient measurements may take, over the planned run.",
        ),
    ] = 0.02
    probe_weight: Annotated[
        WeightIndex | None,
        Meta(
            description="One weight to follow: parameter name and index. Its gradient is measured over time.",
            examples=["fc1.weight[50,30]"],
        ),
    ] = None
    noise_scale: Annotated[bool, Meta(description="Estimate the gradient noise scale.")] = True


class Checkpoint(Section, frozen=True):
    """When the run saves itself, and how many of these files stay."""

    every_s: Annotated[
        PositiveFloat, Meta(description="Seconds between two checkpoints; the first comes after 30 s at the latest.")
    ] = 300.0
    every_steps: Annotated[
        Positive | None, Meta(description="Save after every so many updates, too.", examples=[1000])
    ] = None
    keep: Annotated[Positive, Meta(description="Checkpoints to keep; the oldest go first.")] = 2


class Memory(Section, frozen=True):
    """A memory limit of your own."""

    budget: Annotated[
        ByteSize | None,
        Meta(
            description="Most memory that training may use on its device (each rank on its own); more counts as out of "
            "memory.",
            examples=["6GiB"],
        ),
    ] = None


class Ui(Section, frozen=True):
    """The screen."""

    theme: Annotated[Text, Meta(description="Colour theme: a name from themes/ or the path of a .toml file.")] = "night"
    frames_per_second: Annotated[float, Meta(ge=0.2, le=4, description="Most often that the screen is drawn.")] = 2.0
