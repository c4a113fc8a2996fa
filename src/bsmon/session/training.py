"""What runs on the training thread and the sampler's: the session's only place that imports torch and psutil."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bsmon.config.schema import Config
from bsmon.core.commands import Scripted
from bsmon.core.records import HardwareSample
from bsmon.session.desk import AdvisorDesk
from bsmon.session.inbox import Inbox
from bsmon.session.instruments import Instruments
from bsmon.session.live import Sampler
from bsmon.session.mailbox import CommandMailbox

if TYPE_CHECKING:
    from bsmon.engine.build import Parts
    from bsmon.engine.watch import Timer, Watch


@dataclass(frozen=True, slots=True)
class Training:
    """A training body: where its checkpoints are, whether it goes on from one, and the interventions it repeats."""

    checkpoints: Path
    resume: bool = False
    changes: dict[str, tuple[str, str]] = field(default_factory=dict)
    script: Sequence[Scripted] = ()

    def __call__(self, config: Config, observer: Inbox, mailbox: CommandMailbox, desk: AdvisorDesk) -> None:
        """Train. Importing the engine imports torch, which takes seconds: not before the screen is there."""
        # What this thread starts inherits it: the DataLoader's workers, too, outlive a terminal.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
        from bsmon.engine.run import Surroundings, run

        around = Surroundings(
            observer=observer,
            mailbox=mailbox,
            scale=desk.scale,
            make_watch=lambda parts: _instruments(config, parts, observer),
            checkpoints=self.checkpoints,
            elapsed=observer.elapsed,
            resume=self.resume,
            changes=self.changes,
            script=self.script,
        )
        run(config, around)


def _instruments(config: Config, parts: Parts, observer: Inbox) -> tuple[Watch, Timer]:
    from bsmon.telemetry.clock import step_timer
    from bsmon.telemetry.gradients import GradientProbes
    from bsmon.telemetry.torch_memory import device_uuid

    device = str(parts.device)
    timer = step_timer(device)
    probes = GradientProbes(
        parts.runner,
        parts.device,
        observer.measured,
        budget=config.telemetry.budget,
        grad_clip=config.train.grad_clip,
        probe_weight=config.telemetry.probe_weight,
        noise_scale=config.telemetry.noise_scale,
        scaler=parts.scaler,
        left=parts.left,
        ranks=config.run.world_size,
    )
    others = [f"cuda:{rank}" for rank in range(1, config.run.world_size)] if parts.device.type == "cuda" else []
    observer.instruments(
        Instruments(
            device,
            device_uuid(device),
            timer.shares,
            probes,
            parts.data.data_paths,
            [(device_uuid(other), other) for other in others],
        )
    )
    return probes, timer


def make_sampler(on_sample: Callable[[HardwareSample], None]) -> Sampler:
    """The hardware sampler; psutil is imported here and not with the screen."""
    from bsmon.telemetry.sampler import HardwareSampler

    began = time.monotonic()
    return HardwareSampler(on_sample=on_sample, clock=lambda: time.monotonic() - began)
