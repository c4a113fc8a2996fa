"""The whole state that a front end may see, in one frozen object that is swapped, never changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from bsmon.core.advice import AdvisorView
from bsmon.core.gradients import LayerTable, ProbedWeight
from bsmon.core.records import Evaluation, Event, GradientStats, HardwareSample


class RunState(StrEnum):
    """Where a run stands."""

    STARTING = "starting"
    TRAINING = "training"
    PAUSED = "paused"
    EVALUATING = "evaluating"
    FINISHED = "finished"  # all epochs or steps done
    STOPPED = "stopped"  # ended early because somebody asked
    FAILED = "failed"

    @property
    def ended(self) -> bool:
        """Whether no further step will come."""
        return self in (RunState.FINISHED, RunState.STOPPED, RunState.FAILED)


@dataclass(frozen=True, slots=True)
class RunInfo:
    """What does not change during a run; unknown until the task is built."""

    name: str
    config_path: str = ""
    run_dir: str = ""
    task: str = ""  # "digits", or the target
    model: str = ""
    optimizer: str = ""
    device: str = ""  # "cpu", "cuda:0"
    device_name: str = ""  # "NVIDIA H200", the processor's name on a CPU
    world_size: int = 1  # ranks, each a process on a device of its own; `device` is rank 0's
    precision: str = "fp32"
    parameters: int | None = None
    train_samples: int | None = None
    validation_samples: int | None = None
    epochs: int | None = None
    max_steps: int | None = None
    threads: int | None = None
    has_batchnorm: bool | None = None
    drop_last: bool = False
    class_probabilities: tuple[float, ...] | None = None  # chance of each class in one draw of the sampler


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the run is."""

    epoch: int = 0
    step: int = 0
    samples: int = 0  # seen, all epochs together
    total_samples: int | None = None  # that the run will see
    epoch_samples: int = 0  # consumed of the present epoch
    elapsed_s: float = 0.0
    eta_s: float | None = None
    samples_per_second: float | None = None
    step_s: float | None = None  # mean of the recent steps
    data_wait_share: float | None = None  # 0..1 of the step spent waiting for data, recent steps
    # Where a step's time goes, each 0..1: data_wait, host_to_device, forward, backward, exchange (waiting for the other
    # ranks and adding up), optimizer, telemetry.
    time_shares: Mapping[str, float] = field(default_factory=dict)
    probes_cost_share: float | None = None  # 0..1 of the training time that gradient measurements took


@dataclass(frozen=True, slots=True)
class BatchState:
    """The batch plan in force, as acknowledged by the engine.

    batch_size = micro_batch_size x gradient_accumulation_steps x world_size, where it divides evenly.
    """

    batch_size: int
    micro_batch_size: int
    gradient_accumulation_steps: int
    learning_rate: float
    minimum: int = 1
    maximum: int | None = None
    pending: int | None = None  # asked for, not yet taken by the engine
    learning_rate_rule: str = "auto"
    by_hand: frozenset[str] = frozenset()  # "batch_size", "learning_rate": the advisor leaves these alone
    can_undo: bool = False
    micro_batch_by_hand: bool = False  # else the engine chooses the largest that fits
    world_size: int = 1  # ranks that share an update's samples


@dataclass(frozen=True, slots=True)
class Series:
    """A measured quantity over steps (or over seconds), compressed to a bounded number of equal bins.

    Bin i covers x in [i * width, (i + 1) * width). `low` and `high` are the extremes in the bin (so that spikes
    survive) and `mean` its mean; None where the bin holds nothing finite. Bins never move: when they are full,
    neighbouring pairs merge and `width` doubles. `last` is the newest value as it came: NaN is no gap there.
    """

    width: float
    low: tuple[float | None, ...]
    high: tuple[float | None, ...]
    mean: tuple[float | None, ...]
    last: float | None
    unit: str = ""

    @property
    def end(self) -> float:
        """x where the last bin ends."""
        return self.width * len(self.low)


@dataclass(frozen=True, slots=True)
class Mark:
    """A batch change to be drawn on the charts."""

    step: int
    old_batch_size: int
    new_batch_size: int


@dataclass(frozen=True, slots=True)
class MemoryForecast:
    """Will it fit? The predicted peak of one step at a micro batch size, in bytes."""

    micro_batch_size: int
    peak_bytes: int
    limit_bytes: int | None
    fits: bool | None


@dataclass(frozen=True, slots=True)
class MeasuredSize:
    """What was measured at one batch size that this run has trained with; None where too little was.

    The gradient's variance is summed over its elements, in squared gradient units: `gradient_variance` is that of the
    whole batch, E|g|^2 - |G|^2, and `sample_variance` that of one sample, tr(Sigma); C, part 5 has the first as the
    second / batch size.
    """

    batch_size: int
    step_s: float | None = None
    gradient_variance: float | None = None
    sample_variance: float | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """How a run failed: one sentence, and the traceback of the person's own code, whole."""

    message: str
    traceback: str
    bad_input: bool = False  # the person's to mend: exit status 2 and no traceback


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One moment of a run. `version` grows with every change; equal versions mean nothing changed.

    `series` by name: "loss", "loss_smoothed", "validation_loss", "grad_norm", "weight_norm", "update_ratio",
    "noise_scale", "probed_weight", "learning_rate", "batch_size", "samples_per_second" over steps; "cpu_percent",
    "rss_bytes", "gpu_utilisation_percent", "gpu_memory_bytes" over seconds.
    """

    version: int
    run: RunInfo
    state: RunState
    waiting_for: str = ""  # what the run is busy with while it is no step: "importing torch", "evaluating"
    progress: Progress = field(default_factory=Progress)
    batch: BatchState | None = None
    series: Mapping[str, Series] = field(default_factory=dict)
    gradients: GradientStats | None = None
    probed_weight: ProbedWeight | None = None
    layers: LayerTable | None = None  # while a front end asks for it
    evaluation: Evaluation | None = None
    hardware: HardwareSample | None = None
    advisor: AdvisorView = field(default_factory=AdvisorView)
    forecasts: tuple[MemoryForecast, ...] = ()
    fences: tuple[int, ...] = ()  # micro batch sizes that ran out of memory
    measured_peak_bytes: int | None = None  # of an update of the present plan, tensors only
    sizes: tuple[MeasuredSize, ...] = ()  # batch sizes run so far, smallest first
    marks: tuple[Mark, ...] = ()
    events: tuple[Event, ...] = ()  # the last few hundred, oldest first, numbered without gaps
    failure: Failure | None = None
