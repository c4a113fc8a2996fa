"""What happened during a run: plain frozen records, the only thing that crosses a thread.

Units are part of the names or stated here: `*_s` seconds, `*_bytes` bytes, `*_percent` 0..100. `None` is unknown.
Records hold numbers; formatting is the front end's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple


class Step(NamedTuple):
    """One optimizer update. A NamedTuple because one is made per step and it must cost well under a microsecond."""

    step: int  # updates completed, counted from 1
    epoch: int  # counted from 1
    samples: int  # samples seen since the run began, this step's included
    batch_size: int  # samples in this update (an epoch's last one may be short)
    micro_batch_size: int
    learning_rate: float
    loss: float | None  # mean over the samples of the update; None when it was not read
    time_s: float  # monotonic, since the run began
    duration_s: float  # from the start of this step to its end
    data_wait_s: float  # the part of it spent waiting for data


@dataclass(frozen=True, slots=True)
class GradientStats:
    """Statistics of the gradient of one update, over all its elements, before clipping.

    `snr` is mean(|g|) / std(g), the signal-to-noise ratio as the guidelines' tables have it (C, part 4).
    """

    step: int
    norm: float
    mean_abs: float | None = None
    std: float | None = None
    minimum: float | None = None
    maximum: float | None = None
    snr: float | None = None
    norm_after_clipping: float | None = None
    nonfinite: int | None = None  # elements that are NaN or infinite
    weight_norm: float | None = None
    update_ratio: float | None = None  # |weight change| / |weight|
    cosine: float | None = None  # with the previous measured gradient


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The loss over the whole validation set, in eval mode.

    `train_*`: the same over a fixed part of the training set, at most 1,024 samples, for the gap between the two.
    """

    step: int
    epoch: int
    loss: float
    accuracy: float | None  # 0..1; None where the task has no classes
    samples: int
    duration_s: float
    train_loss: float | None = None
    train_accuracy: float | None = None


@dataclass(frozen=True, slots=True)
class ClassMix:
    """How many different classes the samples of one update had."""

    step: int
    batch_size: int
    distinct: int


@dataclass(frozen=True, slots=True)
class ProbedSpeed:
    """Forward and backward for so many samples, timed beside the training; without the optimizer's step."""

    step: int
    batch_size: int
    seconds: float


@dataclass(frozen=True, slots=True)
class TorchMemory:
    """Torch's own allocator on the run's device, as its statistics name them."""

    allocated_bytes: int
    reserved_bytes: int
    peak_bytes: int | None  # None where torch keeps no peak (Apple's MPS)
    alloc_retries: int = 0
    ooms: int = 0
    inactive_split_bytes: int | None = None  # fragmentation: free pieces of blocks that are partly in use


@dataclass(frozen=True, slots=True)
class GpuProcess:
    """A process that holds memory on a GPU, as far as this machine may see it."""

    pid: int
    name: str
    memory_bytes: int | None


@dataclass(frozen=True, slots=True)
class GpuSample:
    """One GPU as NVML reports it at one moment; every number may be unknown by itself.

    `reasons` says why a field is None: field name -> sentence; under "gpu" why the whole GPU cannot be read.
    `stale_s` is the age of the numbers when NVML stopped answering, None while they are fresh. A MIG slice is a GPU of
    its own: it has its parent's index and a UUID that starts with "MIG-".
    """

    index: int
    uuid: str
    name: str
    is_mine: bool = False  # a GPU that this run trains on; rank 0's comes first
    memory_total_bytes: int | None = None
    memory_used_bytes: int | None = None
    memory_free_bytes: int | None = None
    memory_reserved_bytes: int | None = None  # held by driver and firmware; older drivers count it as used
    own_process_bytes: int | None = None  # what the run's processes hold; None where ids cannot be matched
    utilisation_percent: float | None = None
    memory_utilisation_percent: float | None = None
    temperature_c: float | None = None
    power_w: float | None = None
    power_limit_w: float | None = None
    sm_clock_mhz: int | None = None
    memory_clock_mhz: int | None = None
    throttle_reasons: tuple[str, ...] | None = None
    pcie_rx_bytes_s: int | None = None
    pcie_tx_bytes_s: int | None = None
    processes: tuple[GpuProcess, ...] | None = None
    stale_s: float | None = None
    reasons: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class HostSample:
    """The machine and this process, through psutil; memory limits are the container's where there is one."""

    rss_bytes: int | None = None  # this process and its DataLoader workers; a shared page counts in each
    cpu_percent: float | None = None  # this process; 100 = one core
    workers_cpu_percent: float | None = None
    workers: int | None = None  # child processes, the DataLoader's among them
    machine_cpu_percent: float | None = None  # 0..100 over all cores
    cores: int | None = None  # that this process may use: affinity and the container's quota
    load_1m: float | None = None
    memory_total_bytes: int | None = None
    memory_available_bytes: int | None = None
    swap_used_bytes: int | None = None
    run_read_bytes_s: float | None = None  # by system calls of this process and its workers, the page cache's included
    run_storage_read_bytes_s: float | None = None  # that really came from storage for them, mapped files included
    run_storage_write_bytes_s: float | None = None
    data_storage: str = ""  # where the training data lie: "nvme0n1p2 (ext4)"; "" = not known
    data_disk_read_bytes_s: float | None = None  # of the disk that the training data lie on, by everybody
    data_disk_write_bytes_s: float | None = None
    disk_read_bytes_s: float | None = None  # all disks of the machine
    disk_write_bytes_s: float | None = None
    network_bytes_s: float | None = None  # all interfaces of the machine, in and out


@dataclass(frozen=True, slots=True)
class HardwareSample:
    """Everything the sampler read at one moment. `gpu_status` says why there are no GPUs, in one sentence."""

    time_s: float
    host: HostSample
    gpus: tuple[GpuSample, ...] = ()
    torch: TorchMemory | None = None
    gpu_status: str = ""
    sampler_cpu_percent: float | None = None  # what the sampling itself costs


class Level(StrEnum):
    """How much an event matters to a person."""

    INFO = "info"
    GOOD = "good"
    WARNING = "warning"
    ERROR = "error"


class EventKind(StrEnum):
    """What sort of thing happened; front ends choose marks and colours by it."""

    RUN = "run"  # started, paused, resumed, finished, stopped
    BATCH = "batch"  # the batch size, micro batch size or accumulation changed
    LEARNING_RATE = "learning_rate"
    REFUSED = "refused"
    EVALUATION = "evaluation"
    MEMORY = "memory"  # out of memory, retried, grown back
    CHECKPOINT = "checkpoint"
    ADVICE = "advice"
    HEALTH = "health"  # loss or gradients
    DATA = "data"
    HARDWARE = "hardware"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Event:
    """Something rare that a person should be able to read later. `number` counts from 1 without gaps."""

    number: int
    kind: EventKind
    level: Level
    text: str
    step: int
    time_s: float  # monotonic, since the run began
    clock: float  # seconds since 1970
    data: Mapping[str, float | int | str | None] = field(default_factory=dict)
