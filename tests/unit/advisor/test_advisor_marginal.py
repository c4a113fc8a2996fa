"""Beyond the updates per epoch that the documents call OK: only where measured noise carries it, never to "too few"."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bsmon.advisor.evidence import Evidence, Limits
from bsmon.advisor.updates_per_epoch import MARGINAL, OK
from bsmon.core.advice import Action, Certainty, NoiseScale
from tests.unit.advisor.builders import CALM, STEADY, advice_for, known, line, with_

# 960 samples: 137 is the largest OK size, 320 the largest marginal one. B* = sqrt(160 x 400) = 253.
WANTS_256 = with_(CALM, batch_size=128, dataset_size=960, throughput=line(0.16, 0.001), noise_scale=known(400))
UNSEEN: dict[str, Any] = {"health": replace(STEADY, overfitting=None), "validation_accuracy": None}


def test_a_measured_noise_scale_carries_a_size_of_marginal_updates_and_says_so() -> None:
    advice = advice_for(WANTS_256)
    assert (advice.action, advice.new_batch_size, advice.node) == (Action.BATCH, 256, "goodput")
    assert "3.8 updates per epoch are marginal; measured gradient noise says the larger batch still pays" in advice.why
    assert "A section 2" in advice.source
    assert advice.certainty is Certainty.MEDIUM  # high, were it not marginal
    assert "Validation worse than training" in advice.changes_mind


def test_a_size_that_is_ok_is_not_called_marginal() -> None:
    advice = advice_for(with_(WANTS_256, dataset_size=5000))
    assert (advice.new_batch_size, advice.certainty) == (256, Certainty.HIGH)
    assert "marginal" not in advice.why


@pytest.mark.parametrize(
    ("changes", "limits", "new"),
    [
        ({"batch_size": 64}, Limits(), 256),  # in one move, too
        ({"batch_size": 32}, Limits(), 128),  # at most fourfold: 256 is for the next
        ({"noise_scale": NoiseScale(None, 400.0, None, 64, "split")}, Limits(), 256),  # a lower bound suffices
        ({"noise_scale": NoiseScale(400.0, 90.0, 3000.0, 64, "split")}, Limits(), 128),  # its low end wants 120
        ({"noise_scale": NoiseScale(400.0, 350.0, 450.0, 64, "consecutive")}, Limits(), 128),  # biased high
        ({"noise_scale": NoiseScale()}, Limits(), 128),
        ({"throughput": ()}, Limits(), 128),
        ({"dataset_size": 767}, Limits(), 128),  # 2.996 updates would be too few
        ({"dataset_size": 768}, Limits(), 256),
        ({}, Limits(maximum=200), 128),
        ({"fences": (256,)}, Limits(), 128),
        ({"noise_scale": known(150)}, Limits(), 128),  # B* = 155: as a move of its own, not worth it
        (UNSEEN, Limits(), 128),  # no evaluation has shown that validation keeps up
        ({"health": replace(STEADY, overfitting=None)}, Limits(), 256),  # its accuracy does
    ],
)
def test_what_it_takes(changes: dict[str, Any], limits: Limits, new: int) -> None:
    assert advice_for(with_(WANTS_256, **changes), limits).new_batch_size == new


@pytest.mark.parametrize(
    "gap", [{"train_accuracy": 0.99, "validation_accuracy": 0.5}, {"health": replace(STEADY, overfitting=True)}]
)
def test_with_a_gap_it_points_the_other_way(gap: dict[str, Any]) -> None:
    """Labels without meaning: a larger batch would learn them by heart faster."""
    advice = advice_for(with_(WANTS_256, **gap))
    assert advice.node == "gap"
    assert advice.new_batch_size < 128


def test_further_from_marginal_sizes_only_while_they_are_not_too_few() -> None:
    """At 128 of 480 samples already (3.75): no larger, although goodput wants it, and no smaller either."""
    evidence = with_(WANTS_256, dataset_size=480)
    assert advice_for(evidence).action is Action.KEEP


@settings(deadline=None)
@given(
    st.integers(0, 10).map(lambda power: 1 << power),
    st.integers(1, 20_000),
    st.floats(0.5, 1e6),
    st.floats(1e-4, 1.0),
    st.booleans(),
)
def test_goodput_never_asks_for_too_few(batch: int, samples: int, noise: float, fixed_s: float, seen: bool) -> None:
    evidence: Evidence = with_(
        CALM,
        batch_size=batch,
        dataset_size=samples,
        class_probabilities=None,
        noise_scale=known(noise),
        throughput=line(fixed_s, 0.001),
        **({} if seen else UNSEEN),
    )
    new = advice_for(evidence).new_batch_size
    assert new <= max(batch, samples / (MARGINAL if seen else OK))
