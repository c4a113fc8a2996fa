"""The ten boxes of C, part 11, over what a running training shows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bsmon.advisor.evidence import Evidence, Limits
from bsmon.advisor.tree import assess
from bsmon.config.load import parse
from bsmon.session.checklist import checklist
from tests.unit.advisor.builders import CALM, NOTHING, STEADY, with_

TOML = '[data]\ntask = "digits"\n[model]\nname = "mlp"\n[optimizer]\nname = "AdamW"\nlr = 1e-3\n[batch]\nsize = 32\n'


def outcomes(evidence: Evidence, *changes: str, sizes_run: int = 1) -> dict[str, str]:
    config = parse(TOML, Path("run.toml"), list(changes))
    boxes = checklist(config, evidence, assess(evidence, Limits()).tree, sizes_run)
    return {box.title: box.outcome for box in boxes}


def test_the_ten_boxes_of_a_good_run_in_the_documents_order() -> None:
    assert list(outcomes(CALM, "train.drop_last=true", sizes_run=3).items()) == [
        ("Batch size in [8, 256]", "ok"),
        ("Learning rate scaled with batch size", "ok"),
        ("Shuffling enabled for training", "ok"),
        ("Shuffled anew every epoch", "ok"),
        ("BatchNorm with 16 or more", "ok"),
        ("Last batch size consistent", "ok"),
        ("Larger batches tested", "ok"),
        ("Gradient norms", "ok"),
        ("Loss oscillating wildly", "ok"),
        ("Loss barely moving", "ok"),
    ]


@pytest.mark.parametrize(
    ("changes", "settings", "title", "outcome"),
    [
        ({"batch_size": 512}, (), "Batch size in [8, 256]", "warning"),
        # C part 10, mistake 2: eight times the batch at the same learning rate.
        ({"batch_size": 256}, (), "Learning rate scaled with batch size", "warning"),
        ({"batch_size": 128, "learning_rate": 4e-3}, (), "Learning rate scaled with batch size", "ok"),
        ({}, ('schedule.name="cosine"',), "Learning rate scaled with batch size", "unknown"),
        ({}, ("train.shuffle=false",), "Shuffling enabled for training", "problem"),
        ({"has_batchnorm": True, "batch_size": 8}, (), "BatchNorm with 16 or more", "problem"),
        ({}, (), "Larger batches tested", "warning"),
        ({"grad_norm": 11.0}, (), "Gradient norms", "warning"),
        ({"health": replace(STEADY, oscillating=True)}, (), "Loss oscillating wildly", "problem"),
        ({"health": replace(STEADY, barely_moving=True)}, (), "Loss barely moving", "warning"),
    ],
)
def test_what_is_wrong_is_seen(changes: dict[str, Any], settings: tuple[str, ...], title: str, outcome: str) -> None:
    assert outcomes(with_(CALM, **changes), *settings)[title] == outcome


def test_what_is_not_known_yet_is_unknown() -> None:
    found = outcomes(NOTHING)
    assert {found[title] for title in ("Gradient norms", "Loss oscillating wildly", "Loss barely moving")} == {
        "unknown"
    }
