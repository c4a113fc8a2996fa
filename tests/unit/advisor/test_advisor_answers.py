"""What every node of the decision tree answers: yes, no and unknown."""

from __future__ import annotations

import pytest

from bsmon.advisor.evidence import Evidence
from bsmon.core.advice import Answer, NoiseScale
from tests.unit.advisor.builders import CALM, GIB, known, line, node_of, sick, with_

YES, NO, UNKNOWN = Answer.YES, Answer.NO, Answer.UNKNOWN


@pytest.mark.parametrize(
    ("name", "evidence", "answer"),
    [
        ("threads", CALM, NO),
        ("threads", with_(CALM, load_average=None), UNKNOWN),
        ("threads", with_(CALM, on_cpu=False, load_average=None), NO),
        ("threads", with_(CALM, threads=4, load_average=8.0, step_time_variation=0.8), YES),
        ("threads", with_(CALM, threads=3, load_average=8.0, step_time_variation=0.8), NO),
        ("threads", with_(CALM, threads=4, load_average=4.0, step_time_variation=0.8), NO),
        ("threads", with_(CALM, threads=4, load_average=8.0, step_time_variation=0.1), NO),
        ("stability", CALM, NO),
        ("stability", sick(oscillating=True), YES),
        ("stability", sick(oscillating=None), UNKNOWN),
        ("stability", sick(oscillating=None, nonfinite=True), YES),
        ("norms", CALM, NO),
        ("norms", with_(CALM, grad_norm=None, update_ratio=None), UNKNOWN),
        ("norms", with_(CALM, grad_norm=11.0), YES),
        ("norms", with_(CALM, update_ratio=1e-8), YES),
        ("norms", with_(CALM, update_ratio=0.5), YES),
        ("barely_moving", sick(barely_moving=True, improvement=0.01), YES),
        ("barely_moving", sick(barely_moving=None), UNKNOWN),
        ("speed", CALM, NO),
        ("speed", with_(CALM, gpu_utilisation_percent=30), YES),
        ("speed", with_(CALM, gpu_utilisation_percent=None, throughput=line(1.0, 0.001)), YES),
        ("speed", with_(CALM, gpu_utilisation_percent=None, throughput=()), UNKNOWN),
        ("data_wait", with_(CALM, data_wait_share=0.5), YES),
        ("data_wait", with_(CALM, data_wait_share=None), UNKNOWN),
        ("critical_batch", CALM, NO),
        ("critical_batch", with_(CALM, noise_scale=known(10)), YES),
        ("critical_batch", with_(CALM, noise_scale=NoiseScale(None, 200.0, None, 64)), NO),
        ("critical_batch", with_(CALM, noise_scale=NoiseScale(None, 20.0, None, 64)), UNKNOWN),
        ("updates_per_epoch", with_(CALM, dataset_size=480, batch_size=32), NO),
        ("updates_per_epoch", with_(CALM, dataset_size=480, batch_size=64), NO),
        ("updates_per_epoch", with_(CALM, dataset_size=480, batch_size=128), YES),
        ("updates_per_epoch", with_(CALM, dataset_size=480, batch_size=240), YES),
        ("updates_per_epoch", with_(CALM, dataset_size=None), UNKNOWN),
        ("goodput", CALM, NO),
        ("goodput", with_(CALM, noise_scale=known(64 * 16)), YES),
        ("goodput", with_(CALM, noise_scale=NoiseScale()), UNKNOWN),
        ("gap", sick(overfitting=True), YES),
        ("gap", with_(CALM, train_accuracy=0.99, validation_accuracy=0.8), YES),
        ("gap", with_(sick(overfitting=None), train_accuracy=None), UNKNOWN),
        ("batchnorm", with_(CALM, has_batchnorm=True), YES),
        ("batchnorm", with_(CALM, has_batchnorm=None), UNKNOWN),
        ("class_mix", with_(CALM, batch_size=4), YES),
        ("class_mix", with_(CALM, class_probabilities=None), UNKNOWN),
        ("memory", with_(CALM, memory_peak_bytes=int(7.9 * GIB)), YES),
        ("memory", with_(CALM, micro_batch_size=16, fences=(32,)), YES),
        ("memory", with_(CALM, fences=(256,)), NO),
        ("memory", with_(CALM, memory_limit_bytes=None), UNKNOWN),
    ],
)
def test_answers(name: str, evidence: Evidence, answer: Answer) -> None:
    assert node_of(evidence, name).answer is answer


@pytest.mark.parametrize(
    ("evidence", "verdict"),
    [
        (with_(CALM, on_cpu=False), "trains on a GPU"),
        (with_(CALM, load_average=None), "load or step times unknown"),
        (with_(CALM, threads=4, load_average=4.0, step_time_variation=0.8), "the CPU has room"),
        (with_(CALM, threads=3, load_average=8.0, step_time_variation=0.8), "busy, and torch leaves a core free"),
        (with_(CALM, threads=4, load_average=8.0, step_time_variation=0.1), "busy, and steps take even times"),
        (with_(CALM, threads=4, load_average=8.0, step_time_variation=0.8), "leave a core free first"),
    ],
)
def test_why_a_cpu_is_crowded_or_not(evidence: Evidence, verdict: str) -> None:
    assert node_of(evidence, "threads").verdict == verdict
