from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bsmon.advisor.loss_health import LossHealth
from bsmon.config.load import parse
from bsmon.core.advice import Action, Advice, AdvisorView
from bsmon.core.commands import LearningRateRule, SetBatchSize, SetLearningRate, Source
from bsmon.core.snapshot import BatchState
from bsmon.session.desk import AdvisorDesk, to_command
from bsmon.session.record import RunRecord

LARGER = Advice(Action.BATCH, "Larger batch", "why", "speed", "C10", 32, 64, 1e-3, 2e-3, learning_rate_rule="linear")
SLOWER = Advice(Action.LEARNING_RATE, "Lower", "why", "stability", "B5", 32, 32, 1e-3, 1e-4)
KEEP = Advice(Action.KEEP, "Keep 32", "why", "", "B5", 32, 32, 1e-3, 1e-3)


def desk(mode: str, advice: Advice | None) -> AdvisorDesk:
    text = f'[data]\ntask = "digits"\n[model]\nname = "mlp"\n[advisor]\nmode = "{mode}"\n'
    made = AdvisorDesk(parse(text, Path("x.toml")))
    made._view = AdvisorView(advice=advice)
    return made


def record(by_hand: frozenset[str] = frozenset(), pending: int | None = None) -> RunRecord:
    batch = BatchState(32, 32, 1, 1e-3, by_hand=by_hand, pending=pending)
    findings = SimpleNamespace(loss_health=LossHealth())
    return cast("RunRecord", SimpleNamespace(batch_state=batch, step=100, reverts=0, findings=findings))


@pytest.mark.parametrize(
    ("mode", "advice", "state", "moves"),
    [
        ("auto", LARGER, {}, True),
        ("auto", SLOWER, {}, True),
        ("auto", KEEP, {}, False),
        ("auto", None, {}, False),
        ("advise", LARGER, {}, False),
        ("auto", LARGER, {"by_hand": frozenset({"batch_size"})}, False),
        ("auto", LARGER, {"by_hand": frozenset({"learning_rate"})}, True),
        ("auto", SLOWER, {"by_hand": frozenset({"learning_rate"})}, False),
        ("auto", LARGER, {"pending": 64}, False),
    ],
)
def test_only_auto_moves_and_never_what_was_set_by_hand(
    mode: str, advice: Advice | None, state: dict[str, Any], moves: bool
) -> None:
    command = desk(mode, advice).move(record(**state))
    assert (command is not None) is moves
    assert command is None or getattr(command, "source", None) is Source.ADVISOR


def test_the_advisor_waits_until_its_last_move_was_judged() -> None:
    made = desk("auto", LARGER)
    assert made.move(record()) is not None
    assert made.move(record()) is None


def test_what_a_person_applies_is_what_stood_there() -> None:
    assert desk("advise", LARGER).command(record()) == SetBatchSize(64, LearningRateRule.LINEAR, 2e-3, Source.ADVICE)
    assert desk("advise", KEEP).command(record()) is None
    assert to_command(SLOWER, Source.ADVICE) == SetLearningRate(1e-4, Source.ADVICE)


def test_the_rule_that_auto_stood_for_is_told() -> None:
    factor, rule = desk("advise", None).scale(LearningRateRule.AUTO, 32, 128)
    assert (factor, rule) == (2.0, LearningRateRule.SQRT)  # AdamW, and no noise scale yet
