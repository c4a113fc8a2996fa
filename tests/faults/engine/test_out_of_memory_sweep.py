"""Memory runs out at every operator of an update: n of n accounted for, and never a silent wrong weight."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.faults.engine.injection import CASES, Case, Ending, Trial, sweep

FUSED, FOREACH, LOOP = (
    next(case for case in CASES if (case.optimizer, case.implementation) == wanted)
    for wanted in (("AdamW", "fused"), ("Adam", "foreach"), ("SGD", "loop"))
)


def expected(case: Case, trial: Trial) -> Ending:
    """Exact, but for an optimizer that is torn in the middle: back to the checkpoint, which is there from the start."""
    if not trial.in_optimizer or case.implementation == "fused":
        return Ending.EXACT
    return Ending.RELOADED


def check(case: Case, trials: list[Trial]) -> None:
    assert [trial for trial in trials if trial.ending is not expected(case, trial)] == []
    hit = Counter((trial.step, trial.in_optimizer) for trial in trials)
    assert len(hit) == 4, "both updates were hit, before and within the optimizer's step"


@pytest.mark.parametrize(("case", "stride"), [(FUSED, 3), (FOREACH, 7), (LOOP, 7)], ids=["fused", "foreach", "loop"])
def test_memory_runs_out_anywhere(case: Case, stride: int) -> None:
    check(case, sweep(case, stride))


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_memory_runs_out_at_every_operator(case: Case) -> None:
    check(case, sweep(case))
