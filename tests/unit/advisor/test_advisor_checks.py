from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bsmon.advisor.checks import CHECKLIST, Check, Outcome, Setup, check, worst
from bsmon.advisor.health import Health
from bsmon.core.commands import LearningRateRule
from tests.unit.advisor.builders import GIB, STEADY

OK, WARNING, PROBLEM, UNKNOWN = Outcome.OK, Outcome.WARNING, Outcome.PROBLEM, Outcome.UNKNOWN

FINE = Setup(
    dataset_size=480,
    batch_size=32,
    learning_rate=5e-4,
    optimizer="Adam",
    domain="images",
    memory_bytes=8 * GIB,
    has_batchnorm=True,
    shuffle=True,
    drop_last=True,
    eval_batch_size=256,
    eval_mode=True,
    learning_rate_rule=LearningRateRule.AUTO,
    weight_decay=0.01,
    health=STEADY,
    gradient_norms_usual=True,
    sizes_run=3,
)


def found(setup: Setup, name: str) -> Check:
    return next(one for one in check(setup) if one.id == name)


def test_the_recommended_setup_of_document_a_passes_everything() -> None:
    assert {one.id: one.outcome for one in check(FINE)} == {one.id: OK for one in check(FINE)}
    assert worst(check(FINE)) is OK


def test_nothing_known_is_unknown_throughout_and_says_what_is_missing() -> None:
    report = check(Setup())
    assert {one.outcome for one in report} == {UNKNOWN}
    assert all(one.found.startswith("needs ") for one in report)
    assert worst(report) is UNKNOWN


def test_the_ten_boxes_of_document_c_in_order() -> None:
    assert len(CHECKLIST) == 10
    assert [one.id for one in check(FINE) if one.id in CHECKLIST] == list(CHECKLIST)
    assert all("C part 11" in one.source or "C part 9" in one.source for one in check(FINE) if one.id in CHECKLIST)


def test_480_samples_at_240_by_hand() -> None:
    """The command line of the issue: --dataset-size 480 --batch-size 240 --lr 4e-3 --optimizer adam."""
    setup = Setup(dataset_size=480, batch_size=240, learning_rate=4e-3, optimizer="adam")
    outcomes = {one.id: one.outcome for one in check(setup) if one.outcome is not UNKNOWN}
    assert outcomes == {
        "updates-per-epoch": PROBLEM,
        "dataset-batch": WARNING,
        "dataset-lr": OK,
        "batch-range": OK,
        "lr-scaled": OK,
    }
    assert found(setup, "updates-per-epoch").found == "480 / 240 = 2 updates per epoch: too few"
    assert "68 or less" in found(setup, "updates-per-epoch").change


@pytest.mark.parametrize(
    ("batch", "outcome", "word"),
    [(32, OK, "good"), (64, OK, "OK"), (128, WARNING, "marginal"), (240, PROBLEM, "too few")],
)
def test_updates_per_epoch_at_480(batch: int, outcome: Outcome, word: str) -> None:
    one = found(Setup(dataset_size=480, batch_size=batch), "updates-per-epoch")
    assert one.outcome is outcome
    assert one.found.endswith(word)


@pytest.mark.parametrize(("batch", "rate"), [(32, 5e-4), (64, 1e-3), (128, 2e-3), (240, 3.75e-3)])
def test_the_learning_rates_of_document_a_agree_with_each_other(batch: int, rate: float) -> None:
    setup = Setup(
        dataset_size=480,
        batch_size=batch,
        learning_rate=rate,
        optimizer="Adam",
        base_batch_size=32,
        base_learning_rate=5e-4,
    )
    assert found(setup, "dataset-lr").outcome is OK
    assert found(setup, "lr-scaled").outcome is OK
    assert f"scales to {rate:.3g}" in found(setup, "lr-scaled").found


@pytest.mark.parametrize(
    ("name", "changes", "outcome"),
    [
        ("updates-per-epoch", {"batch_size": 500}, PROBLEM),
        ("dataset-batch", {"batch_size": 4}, WARNING),
        ("dataset-batch", {"batch_size": 64}, OK),
        ("dataset-batch", {"batch_size": 65}, WARNING),
        ("dataset-batch", {"dataset_size": 300, "batch_size": 64}, WARNING),
        ("dataset-batch", {"dataset_size": 999, "batch_size": 16}, OK),
        ("dataset-batch", {"dataset_size": 1000, "batch_size": 256}, OK),
        ("dataset-batch", {"dataset_size": 100_000, "batch_size": 32}, OK),
        ("dataset-batch", {"dataset_size": 100_001, "batch_size": 32}, WARNING),
        ("dataset-batch", {"dataset_size": 100_001, "batch_size": 512}, WARNING),
        ("dataset-lr", {"learning_rate": 2e-3}, WARNING),
        ("dataset-lr", {"learning_rate": 1e-2}, PROBLEM),
        ("dataset-lr", {"learning_rate": 4e-5}, WARNING),
        ("dataset-lr", {"learning_rate": 0.1, "optimizer": "SGD"}, OK),
        ("dataset-lr", {"optimizer": None}, UNKNOWN),
        ("dataset-lr", {"dataset_size": 5000, "learning_rate": 1e-3}, OK),
        ("dataset-lr", {"dataset_size": 50_000, "learning_rate": 1e-2}, OK),
        ("domain-batch", {"batch_size": 16}, WARNING),
        ("domain-batch", {"domain": "text", "batch_size": 16}, OK),
        ("domain-batch", {"domain": "text", "batch_size": 128}, WARNING),
        ("domain-batch", {"domain": "other", "batch_size": 1}, OK),
        ("domain-batch", {"domain": None}, UNKNOWN),
        ("memory-batch", {"memory_bytes": 4 * GIB, "batch_size": 64}, WARNING),
        ("memory-batch", {"memory_bytes": 4 * GIB, "batch_size": 64, "micro_batch_size": 32}, OK),
        ("memory-batch", {"memory_bytes": 8 * GIB, "batch_size": 64}, OK),
        ("memory-batch", {"memory_bytes": 16 * GIB, "batch_size": 128}, OK),
        ("memory-batch", {"memory_bytes": 2 * GIB}, WARNING),
        # A measured forecast outranks the table, either way.
        ("memory-batch", {"memory_bytes": 4 * GIB, "batch_size": 64, "memory_measured": True}, OK),
        ("memory-batch", {"memory_bytes": 16 * GIB, "memory_measured": False}, PROBLEM),
        ("batch-range", {"batch_size": 7}, WARNING),
        ("batch-range", {"batch_size": 8}, OK),
        ("batch-range", {"batch_size": 257}, WARNING),
        ("lr-scaled", {"batch_size": 64, "base_batch_size": 32, "base_learning_rate": 1e-4}, WARNING),
        ("lr-scaled", {"learning_rate": 0.1}, WARNING),
        ("lr-scaled", {"learning_rate": 0.1, "optimizer": "SGD"}, OK),
        ("lr-scaled", {"optimizer": "LBFGS"}, UNKNOWN),
        ("lr-rule", {"learning_rate_rule": LearningRateRule.UNCHANGED}, WARNING),
        ("lr-rule", {"learning_rate_rule": LearningRateRule.LINEAR}, OK),
        ("shuffle", {"shuffle": False}, PROBLEM),
        ("shuffle", {"shuffle": False, "weighted_sampler": True}, OK),
        ("shuffle-loader", {"shuffle": False}, PROBLEM),
        ("shuffle-loader", {"shuffle": None, "weighted_sampler": True}, OK),
        ("batchnorm", {"batch_size": 1}, PROBLEM),
        ("batchnorm", {"batch_size": 15}, PROBLEM),
        ("batchnorm", {"batch_size": 16}, OK),
        ("batchnorm", {"micro_batch_size": 8}, PROBLEM),
        ("batchnorm", {"batch_size": 1, "has_batchnorm": False}, OK),
        ("batchnorm", {"has_batchnorm": None}, UNKNOWN),
        ("drop-last", {"dataset_size": 1000, "drop_last": False}, WARNING),  # 8 left over, as in document C
        ("drop-last", {"dataset_size": 1000, "drop_last": True}, OK),
        ("drop-last", {"dataset_size": 1024, "drop_last": False}, OK),
        ("drop-last", {"dataset_size": 1025, "drop_last": False}, PROBLEM),  # one sample, and BatchNorm
        ("drop-last", {"dataset_size": 1040, "drop_last": False}, OK),
        ("validation-batch", {"eval_mode": False}, WARNING),
        ("validation-batch", {"eval_mode": False, "eval_batch_size": 32}, OK),
        ("validation-batch", {"eval_mode": False, "has_batchnorm": False}, OK),
        ("validation-batch", {"eval_mode": None}, UNKNOWN),
        ("regularise", {"weight_decay": 0.0, "dropout": 0.0}, WARNING),
        ("regularise", {"weight_decay": 0.0, "dropout": 0.1}, OK),
        ("regularise", {"weight_decay": None}, UNKNOWN),
        ("regularise", {"dataset_size": 500, "weight_decay": None}, OK),
        ("larger-batches", {"sizes_run": 1}, WARNING),
        ("gradient-norms", {"gradient_norms_usual": False}, WARNING),
        ("oscillating", {"health": replace(STEADY, oscillating=True)}, PROBLEM),
        ("oscillating", {"health": Health()}, UNKNOWN),
        ("barely-moving", {"health": replace(STEADY, barely_moving=True)}, WARNING),
    ],
)
def test_checks(name: str, changes: dict[str, Any], outcome: Outcome) -> None:
    one = found(replace(FINE, **changes), name)
    assert one.outcome is outcome, one
    assert bool(one.change) == (outcome in (WARNING, PROBLEM))


def test_worst_of_a_report() -> None:
    assert worst(check(replace(FINE, batch_size=7))) is PROBLEM  # BatchNorm
    assert worst(check(replace(FINE, sizes_run=1))) is WARNING
