"""Runs as they lie on the disk, for commands to find."""

from __future__ import annotations

from collections.abc import Callable

from bsmon.core.advice import Advice, AdvisorView, Answer, NoiseScale, TreeNode
from bsmon.core.happenings import (
    Advised,
    Evaluated,
    Failed,
    Happening,
    HardwareRead,
    Measured,
    MemoryExpected,
    Noted,
    PlanSet,
    RunDescribed,
    StateChanged,
)
from bsmon.core.records import Evaluation, EventKind, GradientStats, HardwareSample, HostSample, Level
from bsmon.core.snapshot import BatchState, Failure, MemoryForecast, RunInfo, RunState
from bsmon.store.run_dir import RunDir
from tests import advice_fakes
from tests.unit.store.happenings import training_steps

HOSTILE = "\x1b]52;c;AAAA\x07\x1b[2J\u202e<script src=//x>[bold]\n"


Run = Callable[..., RunDir]


Bsmon = Callable[..., str]


def course(text: str) -> list[Happening]:
    """A run with everything in it, all its texts being `text`."""
    info = RunInfo(
        text, config_path=text, task=text, model=text, optimizer=text, device=text, device_name=text, epochs=3
    )
    advice = Advice(advice_fakes.ADVICE.action, text, text, text, text, 32, 64, 0.1, 0.2, learning_rate_rule=text)
    node = TreeNode(text, text, Answer.YES, (), text, True, 0, text, text)
    return [
        RunDescribed(info),
        PlanSet(BatchState(32, 32, 1, 1e-3)),
        StateChanged(RunState.TRAINING, text),
        training_steps(1, 30),
        Measured(GradientStats(30, 0.5)),
        HardwareRead(HardwareSample(1.0, HostSample(rss_bytes=2**30), gpu_status=text)),
        MemoryExpected((MemoryForecast(64, 2**31, None, None),), (), 2**29),
        Noted(EventKind.BATCH, Level.GOOD, text, 30, {"old": 32, "new": 64, "source": text}),
        PlanSet(BatchState(64, 64, 1, 1e-3)),
        Advised(AdvisorView((node,), advice, noise_scale=NoiseScale(200.0, 90.0, 400.0, 20, "split"))),
        training_steps(31, 10, 64),
        Evaluated(Evaluation(40, 1, 0.25, 0.75, 100, 0.1)),
        Failed(Failure(text, text)),
    ]
