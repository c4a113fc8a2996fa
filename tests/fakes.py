"""A session that only remembers, and snapshots as a real run would make them."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import replace

from bsmon.core.advice import (
    AdvisorView,
    NoiseScale,
    Score,
)
from bsmon.core.commands import Command, Forecast, ScaleBatchSize, SetBatchSize
from bsmon.core.records import (
    Evaluation,
    Event,
    EventKind,
    GpuSample,
    GradientStats,
    HardwareSample,
    HostSample,
    Level,
    TorchMemory,
)
from bsmon.core.snapshot import (
    BatchState,
    Failure,
    Mark,
    MemoryForecast,
    Progress,
    RunInfo,
    RunState,
    Series,
    Snapshot,
)
from tests.advice_fakes import ADVICE, tree

GIB = 2**30
GOOD = Level.GOOD
NO_GPU = "No GPU: the NVIDIA driver's library is not here"


class FakeSession:
    """Answers with the snapshot it was given; keeps what was submitted. Notes a pending size as a real one does.

    Forecasts are asked for by the screen, not by a key: they are kept apart, in `forecasts`.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self.current = snapshot
        self.submitted: list[Command] = []
        self.forecasts: list[Forecast] = []

    def snapshot(self) -> Snapshot:
        return self.current

    def submit(self, command: Command) -> None:
        if isinstance(command, Forecast):
            self.forecasts.append(command)
            return
        self.submitted.append(command)
        batch = self.current.batch
        if batch is None:
            return
        if isinstance(command, ScaleBatchSize):
            self.change(batch=replace(batch, pending=int((batch.pending or batch.batch_size) * command.factor)))
        elif isinstance(command, SetBatchSize):
            self.change(batch=replace(batch, pending=command.batch_size))

    def change(self, **fields: object) -> None:
        """The next snapshot: some fields are others, and the version grows."""
        self.current = replace(self.current, version=self.current.version + 1, **fields)  # type: ignore[arg-type]  # any field

    def event(self, kind: EventKind, level: Level, text: str) -> None:
        """Something happened."""
        self.change(events=(*self.current.events, event(len(self.current.events) + 1, text, kind=kind, level=level)))


def event(number: int, text: str, *, kind: EventKind = EventKind.RUN, level: Level = Level.INFO) -> Event:
    return Event(number, kind, level, text, step=number * 20, time_s=number * 2.5, clock=1_700_000_000.0 + number)


def series(values: Sequence[float | None], *, width: float = 1.0, spread: float = 0.0, unit: str = "") -> Series:
    low = tuple(None if value is None else value - spread for value in values)
    high = tuple(None if value is None else value + spread for value in values)
    last = next((value for value in reversed(values) if value is not None), None)
    return Series(width, low, high, tuple(values), last, unit)


def loss_curve(steps: int) -> list[float]:
    noise = random.Random(7)
    return [
        abs(0.18 + 2.1 * math.exp(-step / 60) + noise.gauss(0, 0.16) * (0.4 + math.exp(-step / 80)))
        for step in range(steps)
    ]


def smooth(values: Sequence[float]) -> list[float]:
    smoothed, shown = [], values[0]
    for value in values:
        shown += 0.08 * (value - shown)
        smoothed.append(shown)
    return smoothed


INFO = RunInfo(
    name="digits",
    config_path="examples/digits.toml",
    run_dir="runs/digits-1",
    task="digits",
    model="cnn",
    optimizer="AdamW",
    device="cpu",
    device_name="AMD EPYC 7B13",
    parameters=24_330,
    train_samples=1437,
    validation_samples=360,
    epochs=20,
    threads=1,
    has_batchnorm=True,
)

HOST = HostSample(
    rss_bytes=int(0.62 * GIB),
    cpu_percent=98.0,
    machine_cpu_percent=61.0,
    cores=2,
    load_1m=1.32,
    memory_total_bytes=int(7.75 * GIB),
    memory_available_bytes=int(5.1 * GIB),
)


def starting() -> Snapshot:
    return Snapshot(version=1, run=RunInfo(name="digits"), state=RunState.STARTING, waiting_for="importing torch")


def training(steps: int = 315) -> Snapshot:
    """On a CPU, some way in, one batch change done, no advice yet."""
    losses = loss_curve(steps)
    seconds = max(2, steps // 4)
    every = max(1, steps // 12)
    validation: list[float | None] = [
        smoothed * 1.15 + 0.05 if step % every == every - 1 else None for step, smoothed in enumerate(smooth(losses))
    ]
    found = {
        "loss": series(losses),
        "loss_smoothed": series(smooth(losses)),
        "validation_loss": series(validation),
        "grad_norm": series([0.4 + 2.5 * math.exp(-step / 90) + 0.2 * math.sin(step) ** 2 for step in range(steps)]),
        "samples_per_second": series([9000 + 900 * math.sin(step / 40) for step in range(steps)], unit="samples/s"),
        "cpu_percent": series([95 + 4 * math.sin(second / 5) for second in range(seconds)], unit="%"),
        "rss_bytes": series([0.6 * GIB] * seconds, unit="bytes"),
    }
    samples = steps * 32
    return Snapshot(
        version=10,
        run=INFO,
        state=RunState.TRAINING,
        progress=Progress(
            epoch=1 + samples // 1437,
            step=steps,
            samples=samples,
            total_samples=20 * 1437,
            elapsed_s=36.4,
            eta_s=41.0,
            samples_per_second=9120.0,
            step_s=0.0035,
            data_wait_share=0.02,
        ),
        batch=BatchState(32, 32, 1, 1.41e-3, minimum=1, maximum=1437),
        series=found,
        gradients=GradientStats(
            steps,
            0.742,
            mean_abs=3.1e-4,
            std=1.9e-3,
            minimum=-0.0521,
            maximum=0.0634,
            snr=0.163,
            weight_norm=12.4,
            update_ratio=1.1e-3,
        ),
        evaluation=Evaluation(steps - 20, 4, 0.2312, 0.9361, 360, 0.04),
        hardware=HardwareSample(36.0, HOST, gpu_status=NO_GPU, sampler_cpu_percent=0.3),
        advisor=AdvisorView(tree=tree(), noise_scale=NoiseScale(reason="6 of 16 probes made")),
        marks=(Mark(120, 16, 32),),
        events=(
            event(1, "digits: 1,437 training samples, cnn with 24,330 parameters"),
            event(2, "validation loss 0.61, accuracy 81.2%", kind=EventKind.EVALUATION),
            event(3, "batch size 16 -> 32, learning rate 0.001 -> 0.00141 (sqrt)", kind=EventKind.BATCH, level=GOOD),
            event(4, "validation loss 0.2312, accuracy 93.6%", kind=EventKind.EVALUATION),
        ),
    )


def with_advice(steps: int = 315) -> Snapshot:
    """The same run once the advisor knows enough."""
    base = training(steps)
    return replace(
        base,
        advisor=AdvisorView(
            tree=tree(),
            advice=ADVICE,
            score=Score(applied=3, reverted=1, memory_error=0.04, samples_per_second_error=0.07),
            noise_scale=NoiseScale(214.0, 120.0, 560.0, probes=48, estimator="split"),
        ),
        forecasts=(
            MemoryForecast(64, int(0.7 * GIB), int(5.1 * GIB), fits=True),
            MemoryForecast(128, int(0.9 * GIB), int(5.1 * GIB), fits=True),
        ),
    )


def on_gpu() -> Snapshot:
    base = with_advice()
    gpu = GpuSample(
        0,
        "GPU-1",
        "NVIDIA H100 80GB HBM3",
        is_mine=True,
        memory_total_bytes=80 * GIB,
        memory_used_bytes=int(31.2 * GIB),
        memory_free_bytes=int(48.8 * GIB),
        utilisation_percent=71.0,
        memory_utilisation_percent=38.0,
        temperature_c=61.0,
        power_w=412.0,
        power_limit_w=700.0,
        sm_clock_mhz=1830,
    )
    torch = TorchMemory(int(18.3 * GIB), int(26.0 * GIB), int(24.1 * GIB))
    history = series([60 + 25 * math.sin(second / 6) for second in range(80)], unit="%")
    return replace(
        base,
        run=replace(
            base.run, name="resnet50", device="cuda:0", device_name="NVIDIA H100", precision="bf16", threads=None
        ),
        batch=BatchState(256, 64, 4, 1e-1, minimum=1, maximum=None),
        hardware=HardwareSample(36.0, HOST, gpus=(gpu,), torch=torch, sampler_cpu_percent=0.4),
        series={**base.series, "gpu_utilisation_percent": history},
    )


def finished() -> Snapshot:
    base = with_advice(898)
    progress = replace(base.progress, epoch=20, samples=28740, elapsed_s=83.0, eta_s=0.0)
    done = event(5, "run finished", level=Level.GOOD)
    return replace(base, state=RunState.FINISHED, progress=progress, events=(*base.events, done))


def failed(message: str = "RuntimeError: mat1 and mat2 shapes cannot be multiplied (32x64 and 63x10)") -> Snapshot:
    base = training()
    failure = Failure(message, f"Traceback (most recent call last):\n{message}\n")
    return replace(base, state=RunState.FAILED, failure=failure)
