"""Measuring never changes a training: the same run through `bsmon.engine.run`, with the probes and without."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from bsmon.config.schema import Config
from bsmon.core.commands import SetBatchSize, SetLearningRate
from bsmon.core.gradients import LayerTable, Measurement, NoiseSample, ProbedWeight
from bsmon.core.records import GradientStats
from bsmon.engine.build import Parts
from bsmon.engine.watch import NoWatch, Watch
from bsmon.telemetry.gradients import GradientProbes
from tests.unit.engine.harness import Due, Played, Spy, play, same
from tests.unit.measurements.real_run import config_for, measure_always

FOLLOWED = {"probe_weight": "0.weight[2,1]"}
RUNS: dict[str, Config] = {
    "sgd": config_for("noisy_net", telemetry=FOLLOWED),
    "adam": config_for("noisy_net", optimizer="AdamW", telemetry=FOLLOWED),
    "accumulation": config_for("noisy_net", micro=16, telemetry=FOLLOWED),
    "clipping": config_for("noisy_net", grad_clip=0.1, telemetry=FOLLOWED),
    "bf16": config_for("noisy_net", precision="bf16", telemetry=FOLLOWED),
    "drop last": config_for("noisy_net", drop_last=True, eval_every="epoch", telemetry=FOLLOWED),
}
COMMANDS: Sequence[Due] = ((4, SetBatchSize(16)), (7, SetLearningRate(0.01)), (9, SetBatchSize(24)))


class Both(Spy):
    """The harness's spy, which its commands wait for, and the probes."""

    def __init__(self) -> None:
        super().__init__()
        self.probes: Watch = NoWatch()

    def begin(self, step: int, micro_sizes: Sequence[int]) -> None:
        super().begin(step, micro_sizes)
        self.probes.begin(step, micro_sizes)

    def backward_done(self, micro_batch: int) -> None:
        self.probes.backward_done(micro_batch)

    def gradients_ready(self, norm: object) -> None:
        self.probes.gradients_ready(norm)  # type: ignore[arg-type]  # a tensor or None, passed on

    def updated(self, learning_rate: float) -> None:
        super().updated(learning_rate)
        self.probes.updated(learning_rate)

    def batch_size_changed(self) -> None:
        self.probes.batch_size_changed()

    def paused(self) -> None:
        self.probes.paused()


def trained(config: Config, folder: Path, got: list[Measurement] | None) -> Played:
    spy = Both()

    def watch(parts: Parts, _: Spy) -> Watch:
        if got is not None:
            clip, weight = config.train.grad_clip, config.telemetry.probe_weight
            probes = GradientProbes(
                parts.runner, parts.device, got.append, budget=1.0, grad_clip=clip, probe_weight=weight
            )
            probes.wants_layers = True
            spy.probes = probes
        return spy

    return play(config, folder, COMMANDS, spy=spy, watch=watch)


@pytest.mark.parametrize("name", sorted(RUNS))
def test_weights_are_the_same_bit_for_bit(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measure_always(monkeypatch)
    got: list[Measurement] = []
    plain = trained(RUNS[name], tmp_path / "plain", None)
    watched = trained(RUNS[name], tmp_path / "watched", got)
    assert {GradientStats, NoiseSample, ProbedWeight, LayerTable} <= {type(record) for record in got}
    assert same(plain.state(), watched.state())
    losses = [[step.loss for step in played.recorder.steps_made] for played in (plain, watched)]
    assert losses[0] == losses[1]
    assert len(losses[0]) > 10
