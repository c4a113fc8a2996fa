"""Gathers the advisor's evidence from what is known of a run."""

from __future__ import annotations

import dataclasses
import os

from bsmon.advisor.evidence import Evidence, Limits
from bsmon.advisor.scaling import optimizer_family
from bsmon.core.advice import NoiseScale
from bsmon.core.commands import LearningRateRule
from bsmon.core.records import GpuSample
from bsmon.core.snapshot import BatchState
from bsmon.session.accounts import data_wait_share
from bsmon.session.record import RunRecord


def gather(record: RunRecord, batch: BatchState) -> Evidence:
    """Everything that the rules may look at; what is not known stays None."""
    info, evaluation, gradients, hardware = (
        record.info,
        record.last_evaluation,
        record.last_gradients,
        record.last_hardware,
    )
    gpu = own_gpu(record)
    forecasts = record.forecasts
    present = next((f for f in forecasts if f.micro_batch_size == batch.micro_batch_size), None)
    return Evidence(
        batch_size=batch.batch_size,
        micro_batch_size=batch.micro_batch_size,
        world_size=batch.world_size,
        learning_rate=record.last_step.learning_rate if record.last_step else batch.learning_rate,
        learning_rate_rule=LearningRateRule(batch.learning_rate_rule),
        optimizer_family=optimizer_family(info.optimizer),
        dataset_size=info.train_samples,
        has_batchnorm=info.has_batchnorm,
        step=record.step,
        health=record.findings.loss_health.health(),
        train_accuracy=evaluation.train_accuracy if evaluation else None,
        validation_accuracy=evaluation.accuracy if evaluation else None,
        class_probabilities=info.class_probabilities,
        distinct_classes=record.findings.distinct_classes(batch.batch_size),
        grad_norm_median=record.findings.grad_norm_median,
        grad_norm=gradients.norm if gradients else None,
        update_ratio=gradients.update_ratio if gradients else None,
        noise_scale=_noise_scale(record),
        throughput=record.findings.step_times.points(),
        gpu_utilisation_percent=gpu.utilisation_percent if gpu else None,
        data_wait_share=data_wait_share(record.account, record.pace),
        step_time_variation=record.findings.step_times.variation(),
        on_cpu=info.device == "cpu" if info.device else None,
        threads=info.threads,
        cores=hardware.host.cores if hardware else os.cpu_count(),
        load_average=hardware.host.load_1m if hardware else None,
        memory_peak_bytes=present.peak_bytes if present else None,
        memory_limit_bytes=present.limit_bytes if present else None,
        forecasts=forecasts,
        fences=record.fences,
    )


def _noise_scale(record: RunRecord) -> NoiseScale:
    """The noise scale, with why it is not known or not better known."""
    known = record.findings.noise_scale()
    why = record.instruments.probes.noise_reason if record.instruments is not None else ""
    return dataclasses.replace(known, reason=f"{known.reason}; {why}" if known.reason and why else known.reason or why)


def limits(batch: BatchState) -> Limits:
    """The person's own bounds."""
    return Limits(batch.minimum, batch.maximum)


def own_gpu(record: RunRecord) -> GpuSample | None:
    """The GPU that the run trains on."""
    gpus = record.last_hardware.gpus if record.last_hardware else ()
    return next((gpu for gpu in gpus if gpu.is_mine), None)
