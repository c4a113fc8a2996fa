"""What is known about a run, typed. None is unknown, and a rule that needs it abstains."""

from __future__ import annotations

from dataclasses import dataclass, field

from bsmon.advisor.goodput import StepTime, ThroughputPoint, fit_step_time
from bsmon.advisor.health import Health
from bsmon.advisor.scaling import OptimizerFamily
from bsmon.core.advice import NoiseScale
from bsmon.core.commands import LearningRateRule
from bsmon.core.snapshot import MemoryForecast


@dataclass(frozen=True, slots=True)
class Corrections:
    """What past predictions taught: measured / predicted, 1 = they were right. The next ones are multiplied by it."""

    peak_bytes: float = 1.0
    samples_per_second: float = 1.0


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that the rules may look at. Shares are 0..1, `*_percent` 0..100, times in seconds."""

    # The batch plan in force and the learning rate.
    batch_size: int
    micro_batch_size: int
    learning_rate: float
    learning_rate_rule: LearningRateRule = LearningRateRule.AUTO
    optimizer_family: OptimizerFamily | None = None
    world_size: int = 1  # ranks that share a batch; memory and BatchNorm see one rank's micro batch

    # The task.
    dataset_size: int | None = None  # training samples
    has_batchnorm: bool | None = None
    class_probabilities: tuple[float, ...] | None = None  # chance of each class in one draw of the sampler
    distinct_classes: float | None = None  # mean number of distinct classes in a batch, as counted

    # How it goes.
    step: int = 0
    health: Health = field(default_factory=Health)
    train_accuracy: float | None = None  # 0..1
    validation_accuracy: float | None = None  # 0..1
    grad_norm: float | None = None  # before clipping
    grad_norm_median: float | None = None  # of the recent measured steps
    update_ratio: float | None = None  # |weight change| / |weight|
    noise_scale: NoiseScale = field(default_factory=NoiseScale)

    # The machine.
    throughput: tuple[ThroughputPoint, ...] = ()
    gpu_utilisation_percent: float | None = None
    data_wait_share: float | None = None
    step_time_variation: float | None = None  # standard deviation over mean of recent steps
    on_cpu: bool | None = None  # whether the training itself runs on the CPU
    threads: int | None = None  # torch's
    cores: int | None = None
    load_average: float | None = None  # runnable tasks, one minute

    # Memory, for training on the run's device.
    memory_peak_bytes: int | None = None  # of the present micro batch size
    memory_limit_bytes: int | None = None
    forecasts: tuple[MemoryForecast, ...] = ()
    fences: tuple[int, ...] = ()  # micro batch sizes that ran out of memory

    corrections: Corrections = field(default_factory=Corrections)

    @property
    def accumulation_steps(self) -> int:
        """Forward passes per update, on each rank."""
        return -(-self.share(self.batch_size) // self.micro_batch_size)

    def share(self, batch_size: int) -> int:
        """What one rank takes of a batch, at most."""
        return -(-batch_size // self.world_size)

    @property
    def step_time(self) -> StepTime | None:
        """The line through the measured step times; None below two batch sizes."""
        return fit_step_time(self.throughput)


@dataclass(frozen=True, slots=True)
class Limits:
    """The person's own bounds on the batch size; advice never leaves them."""

    minimum: int = 1
    maximum: int | None = None
