"""What runs on the training thread and on the sampler's: the only place of the session that imports torch and psutil."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from bsmon.config.schema import Config
from bsmon.core.records import HardwareSample
from bsmon.session.desk import AdvisorDesk
from bsmon.session.inbox import Inbox
from bsmon.session.live import Sampler
from bsmon.session.mailbox import CommandMailbox


def train(config: Config, observer: Inbox, mailbox: CommandMailbox, desk: AdvisorDesk, checkpoints: Path) -> None:
    """A whole training. Importing the engine imports torch, which takes seconds: not before the screen is there."""
    from bsmon.engine.run import Surroundings, run
    from bsmon.engine.watch import NoWatch

    run(config, Surroundings(observer, mailbox, desk.scale, lambda parts: NoWatch(), checkpoints))


def make_sampler(on_sample: Callable[[HardwareSample], None]) -> Sampler:
    """The hardware sampler; psutil is imported here and not with the screen."""
    from bsmon.telemetry.sampler import HardwareSampler

    began = time.monotonic()
    return HardwareSampler(on_sample=on_sample, clock=lambda: time.monotonic() - began)
